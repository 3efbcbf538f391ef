"""pydantic-ai's messages, tools and settings as a Chat Completions body.

Source: OpenAI API reference, "Chat"; the same choices as pydantic-ai's own ``OpenAIChatModel``, where endpoints that
only resemble OpenAI's bear them. A body depends on nothing but what is handed in: no clock, no random ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ToolOrOutput
from pydantic_ai.tools import ToolDefinition

from laneway.providers.answers.structured import strict_terms

SYSTEM = "laneway"  # the provider's name in pydantic-ai's own records
THINKING_FIELDS = ("reasoning", "reasoning_content")  # vLLM and OpenRouter; DeepSeek and Moonshot
_SAME_NAME = (
    "max_tokens", "temperature", "top_p", "top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "service_tier",
)  # fmt: skip
_AUDIO = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def request_body(
    messages: Sequence[ModelMessage], settings: Mapping[str, Any], parameters: ModelRequestParameters
) -> dict[str, Any]:
    """The body without its model. ``settings`` and ``parameters``: as ``Model.prepare_request`` gives them. Raises
    UserError for what Chat Completions cannot carry."""
    body: dict[str, Any] = {"messages": _conversation(messages, parameters)}
    body |= {name: settings[name] for name in _SAME_NAME if settings.get(name) is not None}
    if stops := settings.get("stop_sequences"):
        body["stop"] = list(stops)
    if effort := _effort(parameters.thinking):
        body["reasoning_effort"] = effort
    tools, choice = _tools(settings, parameters)
    if tools:
        body["tools"], body["tool_choice"] = tools, choice
        if settings.get("parallel_tool_calls") is not None:
            body["parallel_tool_calls"] = settings["parallel_tool_calls"]
    if parameters.output_mode == "native":
        body["response_format"] = _response_format(parameters)
    extra = settings.get("extra_body")
    return {**body, **extra} if isinstance(extra, Mapping) else body


def _conversation(messages: Sequence[ModelMessage], parameters: ModelRequestParameters) -> list[dict[str, Any]]:
    """What the system says at the beginning is one message: many chat templates take no second one."""
    turns = [turn for message in messages for turn in _turns(message)]
    first = next((at for at, turn in enumerate(turns) if turn["role"] != "system"), len(turns))
    said = [turn["content"] for turn in turns[:first]]
    if parameters.instruction_parts:
        said.append(InstructionPart.join(parameters.instruction_parts))
    system = "\n\n".join(text for text in said if text)
    return [*([{"role": "system", "content": system}] if system else []), *turns[first:]]


def _turns(message: ModelMessage) -> Iterator[dict[str, Any]]:
    if isinstance(message, ModelResponse):
        if said := _assistant(message):
            yield said
        return
    yield from _request(message)


def _request(message: ModelRequest) -> Iterator[dict[str, Any]]:
    """Files that tools returned follow all the tools' answers: those may hold text only, and nothing may stand between
    them."""
    files: list[Any] = []
    for part in message.parts:
        match part:
            case SystemPromptPart():
                yield {"role": "system", "content": part.content}
            case UserPromptPart():
                yield _user(part.content)
            case ToolReturnPart():
                text, attached = part.model_response_str_and_user_content()
                files += attached
                yield {"role": "tool", "tool_call_id": part.tool_call_id, "content": text}
            case _:
                raise UserError(f"{type(part).__name__} cannot be sent: call model.prepare_messages(messages) first")
    if files:
        yield _user(files)


def _user(content: str | Sequence[Any]) -> dict[str, Any]:
    if isinstance(content, str):
        return {"role": "user", "content": content}
    return {"role": "user", "content": [made for item in content if (made := _part(item))]}


def _part(item: Any) -> dict[str, Any] | None:
    """None for what is only an advice to a provider's cache."""
    match item:
        case str():
            return {"type": "text", "text": item}
        case TextContent():
            return {"type": "text", "text": item.content}
        case CachePoint():
            return None
        case ImageUrl():
            return _image(item.url, item.vendor_metadata)
        case BinaryContent() if item.is_image:
            return _image(item.data_uri, item.vendor_metadata)
        case BinaryContent() if item.media_type in _AUDIO:
            return {"type": "input_audio", "input_audio": {"data": item.base64, "format": _AUDIO[item.media_type]}}
        case BinaryContent() if item.is_document:
            name = f"{item.identifier}.{item.format}"
            return {"type": "file", "file": {"filename": name, "file_data": item.data_uri}}
        case DocumentUrl():
            raise UserError("Chat Completions takes no document by its URL: load it in a task, pass BinaryContent")
    kind = f"{item.media_type} file" if isinstance(item, BinaryContent) else type(item).__name__
    raise UserError(f"Chat Completions takes no {kind}")


def _image(url: str, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    image = {"url": url}
    if metadata and "detail" in metadata:
        image["detail"] = metadata["detail"]
    return {"type": "image_url", "image_url": image}


def _assistant(message: ModelResponse) -> dict[str, Any] | None:
    """None for an answer of which there is nothing to send. Thoughts go back in the field that they came in, as
    DeepSeek demands between tool calls; those that stood in the text are left out, as their makers advise."""
    texts, calls, thoughts = [], [], {}
    for part in message.parts:
        match part:
            case TextPart():
                texts.append(part.content)
            case ToolCallPart():
                calls.append(_call(part))
            case ThinkingPart() if part.id in THINKING_FIELDS and part.provider_name == SYSTEM:
                thoughts[part.id] = part.content
    if not texts and not calls:
        return None
    said: dict[str, Any] = {"role": "assistant", "content": "\n\n".join(texts) if texts else None, **thoughts}
    if calls:
        said["tool_calls"] = calls
    return said


def _call(part: ToolCallPart) -> dict[str, Any]:
    function = {"name": part.tool_name, "arguments": part.args_as_json_str()}
    call: dict[str, Any] = {"id": part.tool_call_id, "type": "function", "function": function}
    if extra := (part.provider_details or {}).get("extra_content"):
        call["extra_content"] = extra  # Gemini's thought signatures: it refuses the next request without them
    return call


def _tools(
    settings: Mapping[str, Any], parameters: ModelRequestParameters
) -> tuple[list[dict[str, Any]], str | dict[str, Any]]:
    """The tools to offer, and which of them the model may or must call."""
    offered = list(parameters.declared_tool_defs.values())
    direct = parameters.allow_text_output or parameters.allow_image_output
    choice: str | dict[str, Any] = "auto" if direct else "required"
    wanted = settings.get("tool_choice")
    outputs = {tool.name for tool in parameters.output_tools}
    match wanted:
        case None | "auto":
            pass
        case "required":
            if not parameters.declared_function_tools:
                raise UserError('tool_choice="required" needs a function tool')
            choice = "required"
        case "none" | []:
            offered = [tool for tool in offered if tool.name in outputs]
        case ToolOrOutput():
            allowed = outputs | set(wanted.function_tools)
            offered = [tool for tool in offered if tool.name in allowed]
        case list():
            offered = [tool for tool in offered if tool.name in wanted]
            if not offered:
                raise UserError(f"tool_choice names no tool that there is: {', '.join(wanted)}")
            choice = "required"
            if len(offered) == 1:
                choice = {"type": "function", "function": {"name": offered[0].name}}
        case _:
            raise UserError(f"tool_choice={wanted!r} is not known")
    return [_tool(tool) for tool in offered], choice


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters_json_schema,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _response_format(parameters: ModelRequestParameters) -> dict[str, Any]:
    wanted = parameters.output_object
    assert wanted is not None, "native output has a schema"
    strict = strict_terms(wanted.json_schema) if wanted.strict is None else wanted.strict
    schema: dict[str, Any] = {"name": wanted.name or "answer", "schema": wanted.json_schema, "strict": strict}
    if wanted.description:
        schema["description"] = wanted.description
    return {"type": "json_schema", "json_schema": schema}


def _effort(thinking: Any) -> str | None:
    """``thinking=True`` leaves it to the model."""
    if thinking is False:
        return "none"
    return thinking if isinstance(thinking, str) else None
