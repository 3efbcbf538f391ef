"""The model that an agent asks: it turns each request into a body and hands it on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.native_tools import AbstractNativeTool
from pydantic_ai.profiles import ModelProfile, ModelProfileSpec, merge_profile
from pydantic_ai.settings import ModelSettings

from laneway.flows.agents.answer import model_response
from laneway.flows.agents.request import SYSTEM, request_body

Ask = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Puts a Chat Completions body to a model of Laneway's, or to ``auto``, and gives its answer."""

Cost = Callable[[str, Mapping[str, Any]], Decimal | None]
"""USD for an answer of a model's, None where it is not known. The same whenever it is asked about the same answer."""

PROFILE = ModelProfile(supports_json_schema_output=True, supports_thinking=True)


class LanewayModel(Model[Any]):
    """A model of ``laneway.toml`` for pydantic-ai. ``profile`` says what the model can do where the default is wrong;
    a time-out, further tries and headers are the config's business, and settings that name them warn."""

    unsupported_settings = frozenset({"timeout", "max_retries", "extra_headers"})
    _unsupported_file_inputs = frozenset({"video"})

    def __init__(
        self,
        name: str,
        ask: Ask,
        cost: Cost = lambda _name, _answer: None,
        *,
        settings: ModelSettings | None = None,
        profile: ModelProfileSpec | None = None,
    ) -> None:
        self._name, self._ask, self._cost = name, ask, cost
        own = profile if callable(profile) else merge_profile(PROFILE, profile)
        super().__init__(settings=settings, profile=own)

    @property
    def model_name(self) -> str:
        return self._name

    @property
    def system(self) -> str:
        return SYSTEM

    @property
    def provider(self) -> None:
        return None

    @classmethod
    def supported_native_tools(cls) -> frozenset[type[AbstractNativeTool]]:
        """None: Chat Completions knows no tools that run at the provider."""
        return frozenset()

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        answer = await self._ask(self._name, request_body(messages, settings or {}, parameters))
        response = model_response(answer, self._name)
        response.usage.cost = self._cost(self._name, answer)
        return response

    def request_stream(self, *_: Any, **__: Any) -> Any:
        """Not offered: an answer that is recorded is there as a whole."""
        raise UserError("the answers of a durable agent do not stream: leave out event_stream_handler")
