"""Events of a response: the last one holds all of it (OpenAI API reference, "Responses streaming")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Response:
    def __init__(self) -> None:
        self.complete = False
        self._response: dict[str, Any] = {}

    def add(self, data: Mapping[str, Any]) -> None:
        if data.get("type") in ("response.completed", "response.incomplete"):
            self._response = dict(data["response"])
            self.complete = True

    def answer(self) -> dict[str, Any]:
        return self._response
