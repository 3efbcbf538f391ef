"""OpenAI Embeddings: requests out. Usage is that of Chat Completions, without output."""

from __future__ import annotations

from typing import Any

from laneway.providers.model import Model


def finish(data: dict[str, Any], model: Model) -> dict[str, Any]:
    """Lay the model's params under an Embeddings body."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    return data
