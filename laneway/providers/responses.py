"""OpenAI Responses: requests out, answers in. Bodies pass through untouched where nothing needs to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.providers.chat import closed
from laneway.providers.complaints import Complaint, with_complaint
from laneway.providers.model import Model
from laneway.task import Spec, Usage


def finish(
    data: dict[str, Any], model: Model, spec: Spec, *, complaint: Complaint | None = None, strict_schema: bool = True
) -> dict[str, Any]:
    """Lay the model's params under a Responses body and add what the type asks for."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    text = data.get("text") or {}
    if spec.output_schema is not None and not text.get("format"):
        data["text"] = {**text, "format": _format(spec.output_schema, strict_schema)}
    if complaint is not None:
        given = data["input"]
        said = [{"role": "user", "content": given}] if isinstance(given, str) else given
        data["input"] = with_complaint(said, complaint)
    return data


def _format(schema: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    if not strict:
        return {"type": "json_object"}
    return {"type": "json_schema", "name": "answer", "schema": dict(schema), "strict": closed(schema)}


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Tokens as the provider counted them, None when it did not say."""
    said = answer.get("usage")
    if not isinstance(said, Mapping):
        return None
    details = said.get("input_tokens_details") or {}
    return Usage(
        int(said.get("input_tokens") or 0),
        int(said.get("output_tokens") or 0),
        int(details.get("cached_tokens") or 0) if isinstance(details, Mapping) else 0,
    )
