"""pydantic-ai's own messages, as Chat Completions bodies."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, NativeOutput, PromptedOutput, ToolOutput
from pydantic_ai.exceptions import UnexpectedModelBehavior, UserError
from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
    VideoUrl,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.settings import ModelSettings, ToolOrOutput
from pydantic_ai.tools import ToolDefinition

from laneway.flows.agents.model import LanewayModel
from laneway.flows.agents.request import request_body
from tests.flows.agents.script import Script, calls, text

PIXEL = b"\x89PNG pixel"
LOOK = ToolDefinition(name="look", description="Look it up.", parameters_json_schema={"type": "object"})
DONE = ToolDefinition(name="done", parameters_json_schema={"type": "object"})


class Verdict(BaseModel):
    risk: float
    why: str


def conversation(*messages: ModelMessage) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = request_body(messages, {}, ModelRequestParameters())["messages"]
    return body


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ("Look:", {"type": "text", "text": "Look:"}),
        (
            ImageUrl("https://example.com/a.png"),
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ),
        (
            ImageUrl("https://example.com/a.png", vendor_metadata={"detail": "low"}),
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        ),
        (
            BinaryContent(PIXEL, media_type="image/png"),
            {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"},
            },
        ),
        (
            BinaryContent(b"RIFF", media_type="audio/wav"),
            {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"RIFF").decode(), "format": "wav"}},
        ),
        (
            BinaryContent(b"%PDF", media_type="application/pdf", identifier="letter"),
            {
                "type": "file",
                "file": {
                    "filename": "letter.pdf",
                    "file_data": f"data:application/pdf;base64,{base64.b64encode(b'%PDF').decode()}",
                },
            },
        ),
    ],
)
def test_what_a_user_says_and_shows(item: Any, part: dict[str, Any]) -> None:
    [said] = conversation(ModelRequest([UserPromptPart([item, CachePoint()])]))
    assert said == {"role": "user", "content": [part]}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (DocumentUrl("https://example.com/a.pdf"), "no document by its URL"),
        (VideoUrl("https://example.com/a.mp4"), "VideoUrl"),
        (AudioUrl("https://example.com/a.mp3"), "AudioUrl"),
        (BinaryContent(b"x", media_type="video/mp4"), "video/mp4"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_its_name(item: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        conversation(ModelRequest([UserPromptPart([item])]))


def test_a_conversation_with_calls_thoughts_and_files() -> None:
    image = BinaryContent(PIXEL, media_type="image/png", identifier="chart")
    call = ToolCallPart("look", {"q": "äöü"}, "c1")
    later = ToolCallPart("look", '{"q": "b"}', "c2", provider_details={"extra_content": {"google": {"sig": "s"}}})
    assert conversation(
        ModelRequest([SystemPromptPart("You judge."), SystemPromptPart("Be brief."), UserPromptPart("Why?")]),
        ModelResponse(
            [
                ThinkingPart("hm", id="reasoning_content", provider_name="laneway"),
                ThinkingPart("from the text", id="content", provider_name="laneway"),
                ThinkingPart("another provider's", id="reasoning", provider_name="openai"),
                TextPart("Let me see."),
                call,
                later,
            ]
        ),
        ModelRequest([ToolReturnPart("look", image, "c1"), ToolReturnPart("look", {"found": 3}, "c2")]),
        ModelResponse([]),
        ModelRequest([UserPromptPart("And?")]),
    ) == [
        {"role": "system", "content": "You judge.\n\nBe brief."},
        {"role": "user", "content": "Why?"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "hm",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"q":"äöü"}'}},
                {
                    "id": "c2",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"q":"b"}'},
                    "extra_content": {"google": {"sig": "s"}},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "See file chart."},
        {"role": "tool", "tool_call_id": "c2", "content": '{"found":3}'},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": ANY},
                {"type": "image_url", "image_url": {"url": image.data_uri}},
                {"type": "text", "text": ANY},
            ],
        },
        {"role": "user", "content": "And?"},
    ]


class _Any:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)

    __hash__ = None  # type: ignore[assignment]


ANY = _Any()


def test_settings_keep_their_meaning() -> None:
    settings = ModelSettings(
        max_tokens=90, temperature=0.0, top_p=0.5, seed=7, presence_penalty=0.1, frequency_penalty=0.2,
        logit_bias={"50": -100}, stop_sequences=["END"], service_tier="flex", extra_body={"guided_regex": "a+"},
        parallel_tool_calls=False,
    )  # fmt: skip
    body = request_body([], settings, ModelRequestParameters(thinking="low"))
    assert body == {
        "messages": [], "max_tokens": 90, "temperature": 0.0, "top_p": 0.5, "seed": 7, "presence_penalty": 0.1,
        "frequency_penalty": 0.2, "logit_bias": {"50": -100}, "stop": ["END"], "service_tier": "flex",
        "guided_regex": "a+", "reasoning_effort": "low",
    }  # fmt: skip
    with_tools = request_body([], settings, ModelRequestParameters(function_tools=[LOOK], thinking=True))
    assert with_tools["parallel_tool_calls"] is False
    assert "reasoning_effort" not in with_tools
    assert request_body([], {}, ModelRequestParameters(thinking=False))["reasoning_effort"] == "none"


@pytest.mark.parametrize(
    ("wanted", "text_allowed", "offered", "choice"),
    [
        (None, True, ["look", "done"], "auto"),
        ("auto", False, ["look", "done"], "required"),
        ("required", True, ["look", "done"], "required"),
        ("none", False, ["done"], "required"),
        ([], True, ["done"], "auto"),
        (["look"], True, ["look"], {"type": "function", "function": {"name": "look"}}),
        (["look", "done"], True, ["look", "done"], "required"),
        (ToolOrOutput(function_tools=[]), False, ["done"], "required"),
        (ToolOrOutput(function_tools=["look"]), True, ["look", "done"], "auto"),
    ],
)
def test_which_tools_are_offered_and_which_must_be_called(
    wanted: Any, text_allowed: bool, offered: list[str], choice: Any
) -> None:
    parameters = ModelRequestParameters(function_tools=[LOOK], output_tools=[DONE], allow_text_output=text_allowed)
    body = request_body([], {} if wanted is None else {"tool_choice": wanted}, parameters)
    assert [tool["function"]["name"] for tool in body["tools"]] == offered
    assert body["tool_choice"] == choice


def test_a_tool_that_is_not_there_cannot_be_demanded() -> None:
    parameters = ModelRequestParameters(function_tools=[LOOK])
    with pytest.raises(UserError, match="names no tool"):
        request_body([], {"tool_choice": ["see"]}, parameters)
    with pytest.raises(UserError, match="needs a function tool"):
        request_body([], {"tool_choice": "required"}, ModelRequestParameters())


async def test_an_agent_with_tools_and_a_structured_output() -> None:
    script = Script(
        calls(("a", "look", {"q": "x"}), ("b", "fail", {})),
        calls(("c", "final_result", {"risk": 0.4})),
        calls(("d", "final_result", {"risk": 0.4, "why": "none"})),
    )
    agent = Agent(output_type=Verdict, system_prompt="You judge.", instructions="Be brief.")

    @agent.tool_plain
    async def look(q: str) -> str:
        """Look it up."""
        return q.upper()

    @agent.tool_plain
    async def fail() -> str:
        raise ModelRetry("not that way")

    result = await agent.run("Why?", model=LanewayModel("strong", script))
    assert result.output == Verdict(risk=0.4, why="none")
    first, second, third = script.bodies
    assert script.models == ["strong"] * 3
    assert first["messages"] == [
        {"role": "system", "content": "You judge.\n\nBe brief."},
        {"role": "user", "content": "Why?"},
    ]
    assert [tool["function"]["name"] for tool in first["tools"]] == ["look", "fail", "final_result"]
    assert first["tools"][0]["function"]["description"] == "Look it up."
    assert first["tool_choice"] == "required"
    assert [turn["role"] for turn in second["messages"][2:]] == ["assistant", "tool", "tool"]
    assert [turn["content"] for turn in second["messages"][3:]] == ["X", '{"error":"not that way"}']
    assert "Field required" in third["messages"][-1]["content"]
    assert result.usage.requests == 3
    assert result.usage.input_tokens == 30


@pytest.mark.parametrize("kind", [NativeOutput, PromptedOutput, ToolOutput])
async def test_the_three_ways_to_a_structured_output(kind: Any) -> None:
    said = '{"risk": 1, "why": "x"}'
    script = Script(calls(("a", "final_result", {"risk": 1, "why": "x"})) if kind is ToolOutput else text(said))
    result = await Agent(output_type=kind(Verdict)).run("Why?", model=LanewayModel("m", script))
    assert result.output == Verdict(risk=1, why="x")
    [body] = script.bodies
    assert ("response_format" in body) is (kind is NativeOutput)
    assert ("tools" in body) is (kind is ToolOutput)
    if kind is NativeOutput:
        assert body["response_format"]["json_schema"]["schema"]["properties"].keys() == {"risk", "why"}
    if kind is PromptedOutput:
        assert "JSON" in body["messages"][0]["content"]


async def test_a_text_that_is_no_answer_is_complained_about_in_the_conversation() -> None:
    script = Script(text("soon"), text('{"risk": 1, "why": "x"}'))
    await Agent(output_type=NativeOutput(Verdict), retries=2).run("Why?", model=LanewayModel("m", script))
    roles = [turn["role"] for turn in script.bodies[1]["messages"]]
    assert roles[:2] == ["user", "assistant"]
    assert roles[-1] == "user"


async def test_the_same_run_makes_the_same_bodies() -> None:
    """Ids of runs, times and such are in pydantic-ai's messages, and not in what is sent."""

    async def bodies() -> list[dict[str, Any]]:
        script = Script(calls(("", "look", {"q": "x"})), calls(("", "look", {"q": "y"})), text("done"))
        agent = Agent(instructions="Be brief.")
        agent.tool_plain(look)
        await agent.run(["Why?", BinaryContent(PIXEL, media_type="image/png")], model=LanewayModel("m", script))
        return script.bodies

    async def look(q: str) -> Any:
        return [q, BinaryContent(PIXEL, media_type="image/png")]

    first = await bodies()
    ids = [call["id"] for turn in first[-1]["messages"] for call in turn.get("tool_calls", ())]
    assert len(set(ids)) == 2, "a server that gives its calls no ids gets some of ours"
    assert await bodies() == first


async def test_what_is_not_offered_says_so() -> None:
    model = LanewayModel("m", Script(text("x")))
    agent = Agent()
    with pytest.raises(UserError, match="do not stream"):
        async with agent.run_stream("Why?", model=model):
            pass
    with pytest.raises(UserError, match="WebSearchTool"):
        await Agent(capabilities=[]).run("Why?", model=model, capabilities=[_native(WebSearchTool())])
    with pytest.warns(UserWarning, match="timeout"):
        await agent.run("Why?", model=model, model_settings={"timeout": 3})


def _native(tool: Any) -> Any:
    from pydantic_ai.capabilities import NativeTool

    return NativeTool(tool)


async def test_an_answer_without_a_message_is_unexpected() -> None:
    with pytest.raises(UnexpectedModelBehavior, match="without a message"):
        await Agent().run("Why?", model=LanewayModel("m", Script({"choices": []})))
