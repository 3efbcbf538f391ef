"""OpenAI Responses: requests out, answers in. Bodies pass through untouched where nothing needs to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.providers.answers.complaints import Complaint, with_complaint
from laneway.providers.model import Model
from laneway.task import Usage


def finish(data: dict[str, Any], model: Model, *, complaint: Complaint | None = None) -> dict[str, Any]:
    """Lay the model's params under a Responses body and add what is said of the last answer."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    if complaint is not None:
        given = data["input"]
        said = [{"role": "user", "content": given}] if isinstance(given, str) else given
        data["input"] = with_complaint(said, complaint)
    return data


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Tokens as the provider counted them, None when it did not say."""
    said = answer.get("usage")
    if not isinstance(said, Mapping):
        return None
    details = said.get("input_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    return Usage(
        int(said.get("input_tokens") or 0),
        int(said.get("output_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        int(details.get("cache_write_tokens") or 0),
    )
