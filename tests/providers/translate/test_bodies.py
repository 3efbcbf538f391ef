"""Bodies from one provider's format to another's, and what of them cannot be carried over."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from laneway.errors import InputError
from laneway.providers.translate import Refusals, refusals, translate, ways
from laneway.task import Wire

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
PNG = "data:image/png;base64,AA=="
PDF = "data:application/pdf;base64,JVBE"
SAID: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
CHAT: dict[str, Any] = {"model": "x", "messages": SAID, "temperature": 1, "max_tokens": 5}
MESSAGES: dict[str, Any] = {"model": "x", "messages": SAID, "max_tokens": 5}
RESPONSES: dict[str, Any] = {"model": "x", "input": "hi"}


def test_chat_becomes_messages() -> None:
    body = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
                ],
            },
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "and now?"},
        ],
        "max_completion_tokens": 9, "stop": "END", "temperature": 1.4, "top_p": 0.5, "user": "u1", "n": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "metadata": {"tags": "a"}, "store": True,
    }  # fmt: skip
    assert Wire.MESSAGES not in refusals(Wire.CHAT, body)
    assert translate(Wire.CHAT, Wire.MESSAGES, body) == {
        "system": "be brief\n\nand kind",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                    {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                        "title": "a.pdf",
                    },
                ],
            },
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "and now?"},
        ],
        "max_tokens": 9,
        "temperature": 1,
        "top_p": 0.5,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u1"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }


def test_messages_becomes_chat() -> None:
    body = {
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
                    {"type": "image", "source": {"type": "url", "url": "https://pictures.example/a.png"}},
                    {
                        "type": "document",
                        "title": "a.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                    },
                    {
                        "type": "document",
                        "title": "notes",
                        "source": {"type": "text", "media_type": "text/plain", "data": "all well"},
                    },
                ],
            },
            {"role": "assistant", "content": [{"type": "text", "text": "yes"}]},
            {"role": "user", "content": "and now?"},
        ],
        "max_tokens": 9, "stop_sequences": ["END"], "temperature": 0.2, "top_p": 0.5, "metadata": {"user_id": "u1"},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}, "thinking": {"type": "disabled"},
    }  # fmt: skip
    assert Wire.CHAT not in refusals(Wire.MESSAGES, body)
    assert translate(Wire.MESSAGES, Wire.CHAT, body) == {
        "messages": [
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA=="}},
                    {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
                    {"type": "text", "text": "notes\n\nall well"},
                ],
            },
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "and now?"},
        ],
        "max_tokens": 9,
        "temperature": 0.2,
        "top_p": 0.5,
        "stop": ["END"],
        "user": "u1",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }


def test_responses_becomes_chat_and_messages() -> None:
    body = {
        "instructions": "be brief",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "look"},
                    {"type": "input_image", "image_url": PNG, "detail": "high"},
                    {"type": "input_file", "filename": "a.pdf", "file_data": PDF},
                ],
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
            {"role": "user", "content": "and now?"},
        ],
        "max_output_tokens": 9, "temperature": 0.2, "store": False, "tools": [], "reasoning": {"effort": None},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}},
    }  # fmt: skip
    assert not {Wire.CHAT, Wire.MESSAGES} & set(refusals(Wire.RESPONSES, body))
    chat = translate(Wire.RESPONSES, Wire.CHAT, body)
    assert chat["messages"][0] == {"role": "system", "content": "be brief"}
    assert chat["messages"][1]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}},
    ]
    assert chat["messages"][2:] == [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "and now?"}]
    assert (chat["max_tokens"], chat["temperature"]) == (9, 0.2)
    assert chat["response_format"]["json_schema"] == {"name": "n", "schema": SCHEMA, "strict": True}
    messages = translate(Wire.RESPONSES, Wire.MESSAGES, body)
    assert messages["system"] == "be brief"
    assert messages["messages"][0]["content"][2]["type"] == "document"
    assert messages["output_config"]["format"]["schema"] == SCHEMA
    assert translate(Wire.RESPONSES, Wire.CHAT, RESPONSES) == {"messages": SAID}


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"messages": [{"role": role, "content": list(parts)}]}


TOOL = {"type": "function", "function": {"name": "look", "description": "Look.", "parameters": SCHEMA, "strict": True}}


def called(arguments: str, *ids: str) -> dict[str, Any]:
    calls = [
        {"id": id_, "type": "function", "function": {"name": "look", "arguments": arguments}} for id_ in ids or ("a",)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


@pytest.mark.parametrize(
    ("choice", "parallel", "becomes"),
    [
        (None, None, None),
        ("auto", True, {"type": "auto"}),
        ("none", False, {"type": "none"}),
        ("required", None, {"type": "any"}),
        ({"type": "function", "function": {"name": "look"}}, None, {"type": "tool", "name": "look"}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("required", False, {"type": "any", "disable_parallel_tool_use": True}),
    ],
)
def test_tools_become_tools(choice: Any, parallel: Any, becomes: Any) -> None:
    plain = {"type": "function", "function": {"name": "list"}}
    body = {**CHAT, "tools": [TOOL, plain], "tool_choice": choice, "parallel_tool_calls": parallel}
    made = translate(Wire.CHAT, Wire.MESSAGES, body)
    assert made["tools"] == [
        {"name": "look", "description": "Look.", "input_schema": SCHEMA, "strict": True},
        {"name": "list", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert made.get("tool_choice") == becomes


def test_calls_and_their_results_stand_together() -> None:
    talk = [
        *SAID,
        {**called('{"a": 1}', "c1", "c2"), "content": "Let me see."},
        {"role": "tool", "tool_call_id": "c1", "content": "seven"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "ei"}, {"type": "text", "text": "ght"}],
        },
        {"role": "user", "content": "and?"},
        called("", "c3"),
        {"role": "tool", "tool_call_id": "c3", "content": ""},
    ]
    assert translate(Wire.CHAT, Wire.MESSAGES, {"messages": talk, "tools": [TOOL]})["messages"] == [
        *SAID,
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "look", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "seven"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "eight"},
            ],
        },
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c3", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c3"}]},
    ]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"tools": [{}]}, "a malformed body"),
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "a tool of type 'custom'"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "a tool_choice of type 'allowed_tools'"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice 'any'"),
        ({"tool_choice": "required"}, "a tool_choice without tools"),
        ({"messages": [*SAID, called("7")]}, "a call whose arguments are no object"),
        ({"messages": [*SAID, called("{")]}, "a malformed body"),
        ({"n": 2}, "the field 'n'"),
        ({"seed": 1}, "the field 'seed'"),
        ({"logprobs": True}, "the field 'logprobs'"),
        ({"reasoning_effort": "low"}, "the field 'reasoning_effort'"),
        ({"response_format": {"type": "json_object"}}, "response_format 'json_object'"),
        ({"response_format": {"type": "json_schema"}}, "a malformed body"),
        ({"stop": ["\n"]}, "a stop sequence of white space"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "a malformed body"),
        ({"messages": [{"role": "critic", "content": "x"}]}, "a message of role 'critic'"),
        ({"messages": [{"role": "user", "content": "x", "name": "Ada"}]}, "'name' in a message"),
        ({"messages": [*SAID, {"role": "assistant", "tool_calls": [{}]}]}, "a malformed body"),
        ({"messages": [{"role": "system", "content": "x"}]}, "a request without words of the user"),
        ({"messages": [{"role": "user", "content": ""}]}, "a request without words of the user"),
        ({"messages": [*SAID, {"role": "assistant", "content": "x"}]}, "a conversation that ends with the assistant"),
        ({"messages": [{"role": "assistant", "content": "x"}, *SAID]}, "a conversation that the assistant begins"),
        (said({"type": "input_audio"}), "a content part of type 'input_audio'"),
        (said({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA"}}), "an image of type 'image/bmp'"),
        (
            said({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
            "an image that is neither in the request nor on the web",
        ),
        (said({"type": "file", "file": {"file_id": "file-1"}}), "an uploaded file"),
        (
            said({"type": "file", "file": {"filename": "a.xlsx", "file_data": "UEsD"}}),
            "a file of type 'unknown'",
        ),
        ({"messages": 5}, "a malformed body"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "a malformed body"),
    ],
)
def test_what_messages_cannot_take_of_chat_is_named(more: dict[str, Any], what: str) -> None:
    assert refusals(Wire.CHAT, {**CHAT, **more})[Wire.MESSAGES] == what
    with pytest.raises(InputError, match=r"cannot be carried over into Anthropic Messages"):
        translate(Wire.CHAT, Wire.MESSAGES, {**CHAT, **more})


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"tools": [{}]}, "the field 'tools'"),
        ({"top_k": 5}, "the field 'top_k'"),
        ({"thinking": {"type": "adaptive"}}, "the field 'thinking'"),
        ({"output_config": {"effort": "low"}}, "the field 'output_config.effort'"),
        ({"stop_sequences": list("abcde")}, "more than four stop sequences"),
        ({"messages": [*SAID, {"role": "assistant", "content": "{"}]}, "words put into the assistant's mouth"),
        (said({"type": "tool_result"}), "a content part of type 'tool_result'"),
        (said({"type": "image", "source": {"type": "file", "file_id": "f"}}), "an image from 'file'"),
        (said({"type": "document", "source": {"type": "url", "url": "https://x"}}), "a document from 'url'"),
        (
            said({"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}),
            "a document with citations",
        ),
        (
            {"messages": [*SAID, {"role": "assistant", "content": [{"type": "thinking"}]}]},
            "a content part of type 'thinking' in a message of role 'assistant'",
        ),
        ({"messages": []}, "a malformed body"),
    ],
)
def test_what_chat_cannot_take_of_messages_is_named(more: dict[str, Any], what: str) -> None:
    assert refusals(Wire.MESSAGES, {**MESSAGES, **more})[Wire.CHAT] == what


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"tools": [{}]}, "the field 'tools'"),
        ({"previous_response_id": "r"}, "the field 'previous_response_id'"),
        ({"reasoning": {"effort": "low"}}, "the field 'reasoning'"),
        ({"text": {"verbosity": "low"}}, "the field 'text.verbosity'"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "an item of type 'item_reference'"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "an uploaded image"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://x"}]}]},
            "a file on the web",
        ),
        ({"input": None}, "a malformed body"),
    ],
)
def test_what_others_cannot_take_of_responses_is_named(more: dict[str, Any], what: str) -> None:
    found = refusals(Wire.RESPONSES, {**RESPONSES, **more})
    assert found[Wire.CHAT] == found[Wire.MESSAGES] == what


def test_what_only_the_second_step_cannot_carry_is_named_for_its_target_alone() -> None:
    found = refusals(Wire.RESPONSES, {**RESPONSES, "text": {"format": {"type": "json_object"}}})
    assert Wire.CHAT not in found
    assert found[Wire.MESSAGES] == "response_format 'json_object'"


def test_embeddings_go_nowhere_else_and_plain_bodies_share_one_object() -> None:
    assert set(refusals(Wire.EMBEDDINGS, {"input": "x"})) == {Wire.CHAT, Wire.MESSAGES, Wire.RESPONSES}
    assert ways(Wire.EMBEDDINGS) == (Wire.EMBEDDINGS,)
    assert refusals(Wire.CHAT, CHAT) is refusals(Wire.CHAT, {"messages": SAID})
    assert Wire.CHAT not in refusals(Wire.CHAT, CHAT)
    assert refusals(Wire.PYTHON, {}) == {}


def test_messages_without_content_are_left_out_for_anthropic() -> None:
    body = {"messages": [*SAID, {"role": "assistant", "content": None}, {"role": "user", "content": "more"}]}
    assert translate(Wire.CHAT, Wire.MESSAGES, body)["messages"] == [*SAID, {"role": "user", "content": "more"}]


@pytest.mark.parametrize("body", [CHAT, {**CHAT, "logprobs": True}, {"messages": 1}])
def test_refusals_of_a_stored_body_are_those_of_the_body(body: dict[str, Any]) -> None:
    for wire in Wire:
        late = Refusals(wire, orjson.dumps(body))
        assert {to for to in Wire if to in late} == set(late) == set(refusals(wire, body))
        assert dict(late) == refusals(wire, body)


def test_a_stored_body_is_not_parsed_for_what_does_not_depend_on_it() -> None:
    late = Refusals(Wire.CHAT, b"not JSON")
    assert Wire.CHAT not in late
    assert Wire.EMBEDDINGS in late
    with pytest.raises(orjson.JSONDecodeError):
        assert Wire.MESSAGES in late
