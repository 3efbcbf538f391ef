"""What OpenAI's endpoints have in common: errors, limits, headers.

Sources: OpenAI API reference, "Error codes" and "Rate limits" (headers, and what is charged).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from laneway.simulator.limits import Charge, KeyLimits, Refusal
from laneway.simulator.wires.base import Ask, Mistake, frame, limit_words, whole_seconds

_ERRORS: Mapping[Mistake, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "no_model": ("invalid_request_error", "model_not_found"),
    "no_path": ("invalid_request_error", None),
    "too_large": ("invalid_request_error", "request_too_large"),
    "server": ("server_error", None),
    "overloaded": ("overloaded_error", "overloaded_error"),
}


class OpenAIWire:
    """Errors, charges and headers of every path of OpenAI's."""

    id_header = "x-request-id"

    def charge(self, ask: Ask, output_tokens: int) -> Charge:
        """Tokens per minute charge what might be used: the input and the most output that the request allows."""
        tokens = ask.input_tokens + max(ask.max_tokens or 0, output_tokens)
        return Charge(1.0, tokens, ask.input_tokens, output_tokens)

    def error(self, mistake: Mistake, message: str) -> dict[str, Any]:
        kind, code = _ERRORS[mistake]
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_frame(self, error: Mapping[str, Any]) -> bytes:
        return frame(error)

    def refusal(self, refused: Refusal, model: str) -> dict[str, Any]:
        limit = "" if refused.limit is None else f" Limit {refused.limit:.0f}, Requested {refused.requested:.0f}."
        message = (
            f"Rate limit reached for {model} on {limit_words(refused)}.{limit} "
            f"Please try again in {duration(refused.wait)}."
        )
        kind = "tokens" if "tokens" in refused.kind else "requests"
        return {"error": {"message": message, "type": kind, "param": None, "code": "rate_limit_exceeded"}}

    def wait_headers(self, refused: Refusal) -> dict[str, str]:
        milliseconds = max(1, math.ceil(refused.wait * 1000))
        return {"retry-after": str(whole_seconds(refused.wait)), "retry-after-ms": str(milliseconds)}

    def limit_headers(self, limits: KeyLimits, now: float, wall: float) -> dict[str, str]:
        headers = {}
        for name in ("requests", "tokens"):
            bucket = limits.buckets.get(name)
            if bucket is not None:
                bucket.refill(now)
                headers[f"x-ratelimit-limit-{name}"] = f"{bucket.per_minute:.0f}"
                headers[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(bucket.level)))
                headers[f"x-ratelimit-reset-{name}"] = duration(bucket.until_full())
        return headers


def duration(seconds: float) -> str:
    """As in ``x-ratelimit-reset-…``: ``120ms``, ``8.64s``, ``6m0s``, ``1h0m3s``. Milliseconds are rounded up."""
    ms = math.ceil(seconds * 1000 - 1e-6)
    if ms < 1000:
        return f"{max(0, ms)}ms"
    minutes, ms = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    before = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{before}{ms / 1000:g}s"
