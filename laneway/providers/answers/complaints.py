"""What a model is told when its last answer was of no use: the answer itself, shortened, and what is wrong with it. And
the answer that is kept while a stronger model is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from laneway.providers.text import shortened

LONGEST_ANSWER = 2000  # characters of the answer that are shown again: about 500 tokens
LONGEST_FAULT = 1000
TRUNCATED = "truncated"
ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that will do if no stronger model gives one."""

    model: str
    output: str  # in the task's own wire format


@dataclass(frozen=True, slots=True)
class Complaint:
    """About a task's last answer. ``times``: unusable answers of this model to this task so far, this one counted."""

    model: str
    code: str
    fault: str
    answer: str = ""
    times: int = 1
    kept: Kept | None = None

    @classmethod
    def about(cls, model: str, code: str, fault: str, answer: str, before: Complaint | None) -> Complaint:
        """``before``: what was complained about the time before, None when nothing was."""
        times = before.times if before is not None and before.model == model else 0
        kept = before.kept if before is not None else None
        return cls(model, code, shortened(fault, LONGEST_FAULT), shortened(answer, LONGEST_ANSWER), times + 1, kept)

    @classmethod
    def of_weak(cls, model: str, fault: str, output: bytes) -> Complaint:
        """An answer that is put aside. The next model is not told."""
        return cls(model, ESCALATED, fault, kept=Kept(model, output.decode()))

    def to_text(self) -> str:
        """As the store keeps it."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def from_text(cls, text: str | None) -> Complaint | None:
        if text is None:
            return None
        try:
            data = orjson.loads(text)
            return cls(**{**data, "kept": Kept(**data["kept"]) if data.get("kept") else None})
        except (orjson.JSONDecodeError, TypeError):  # of an earlier version, which kept the fault alone
            return cls("", "", text)

    def turns(self) -> list[dict[str, Any]]:
        """What is added to the conversation: the same in every provider's format."""
        said: list[dict[str, Any]] = [{"role": "assistant", "content": self.answer}] if self.answer.strip() else []
        return [*said, {"role": "user", "content": self._words()}]

    def _words(self) -> str:
        again = "Answer again, in full, with nothing but what was asked for."
        if self.code == TRUNCATED:
            again = "Answer again from the beginning, more briefly, with nothing but what was asked for."
        return f"Your previous answer could not be used: {self.fault}\n{again}"


def with_complaint(messages: Any, complaint: Complaint | None) -> Any:
    """A conversation with the complaint at its end."""
    return messages if complaint is None else [*messages, *complaint.turns()]


def shown_to(complaint: Complaint | None, model: str) -> Complaint | None:
    """A model sees its own answers only: the next one of a route begins afresh, not from a weaker one's mistakes. Of
    one that was put aside nobody is told."""
    if complaint is None or complaint.code == ESCALATED:
        return None
    return complaint if complaint.model in (model, "") else None
