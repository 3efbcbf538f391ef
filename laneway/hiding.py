"""Errors without anybody's words, for those who have set ``hide_content``: a provider's message may quote the prompt, a
schema's the answer, an exception's both."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from laneway.task import Failure

HIDDEN = "[hidden]"
# Failures whose message is our own, with nothing of the task in it. A provider's own always has an HTTP status.
_OURS = frozenset({"timeout", "connection", "cancelled", "worker_died", "truncated", "unknown_task", "time_limit"})
_CODE = re.compile(r"[\w.:-]{1,80}")
_RAISED = re.compile(r"(\braised \w+[^:]*|\b\w+(?:Error|Exception)\b[^:]*): .+", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"", re.DOTALL)


def without_words(failure: Failure) -> Failure:
    """The same failure: its class, code and status, but no message."""
    error = error_without_words(failure.as_json())
    return dataclasses.replace(failure, code=error["code"], message=error["message"])


def error_without_words(error: Mapping[str, Any]) -> dict[str, Any]:
    """The same of an error as the store keeps it."""
    code, status = str(error.get("code") or ""), error.get("status")
    if code in _OURS and status is None:
        return dict(error)
    code = code if _CODE.fullmatch(code) else HIDDEN
    facts = [code] if code not in (HIDDEN, f"http_{status}") else []
    facts += [f"HTTP {status}"] if status is not None else []
    return {**error, "code": code, "message": f"{HIDDEN} ({', '.join(facts)})" if facts else HIDDEN}


def reason_without_words(reason: str) -> str:
    """Why an input cannot be used, without what is quoted of it or what an exception said."""
    return _QUOTED.sub(HIDDEN, _RAISED.sub(rf"\1: {HIDDEN}", reason))
