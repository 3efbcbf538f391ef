"""``laneway serve``, asked by Anthropic's own client."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import pytest
from anthropic.types import MessageParam

from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate

CONFIG = """
[accounts.main]
provider = "openai"
[accounts.other]
provider = "anthropic"
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.claude]
account = "other"
id = "claude-sonnet-4-5"
[[rules]]
when = { tags = "contract" }
model = "claude"
lane = "legal"
[defaults]
model = "small"
"""
HELLO: list[MessageParam] = [{"role": "user", "content": "hello"}]


@pytest.fixture
def served(desk: Desk, serve: Serve, simulate: Simulate) -> Served:
    simulator = simulate()
    desk.env["ANTHROPIC_BASE_URL"] = simulator.url
    desk.env["ANTHROPIC_API_KEY"] = "sk-ant-test"
    desk.env["LANEWAY_TOKEN"] = "t"
    desk.write("laneway.toml", CONFIG)
    return serve()


@pytest.fixture
def client(served: Served) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=served.url.removesuffix("/v1"), api_key="t", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", ["claude", "small"], ids=["as it is", "translated"])
def test_messages_whole_and_streamed(client: anthropic.Anthropic, model: str) -> None:
    answer = client.messages.create(model=model, max_tokens=50, messages=HELLO)
    assert (answer.type, answer.role, answer.stop_reason, answer.usage.output_tokens) == (
        "message",
        "assistant",
        "end_turn",
        10,
    )
    assert answer.content[0].type == "text"
    with client.messages.stream(model=model, max_tokens=50, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        last = stream.get_final_message()
    assert last.content[0].type == "text"
    assert text == last.content[0].text
    assert (last.stop_reason, last.usage.output_tokens) == ("end_turn", 10)


def test_triage_chooses_by_what_headers_say(client: anthropic.Anthropic, desk: Desk) -> None:
    wishes = {"X-Laneway-Tags": "contract, q3", "X-Laneway-Urgency": "urgent"}
    answer = client.messages.create(model="auto", max_tokens=50, messages=HELLO, extra_headers=wishes)
    assert answer.model == "claude-sonnet-4-5"
    explained = desk.run("explain", "1", "--json").json
    assert (explained["route"]["lane"], explained["route"]["urgency"]) == ("legal", "urgent")


def test_refusals_are_anthropics(client: anthropic.Anthropic, served: Served) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.messages.create(model="nobody", max_tokens=50, messages=HELLO)
    assert "there is no model 'nobody'" in str(unknown.value.body)
    assert unknown.value.type == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as empty:
        client.messages.create(model="claude", max_tokens=50, messages=[])
    assert empty.value.type == "invalid_request_error"
    url = served.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="x") as stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="claude", max_tokens=50, messages=HELLO)


def test_models_are_listed_as_anthropic_does(client: anthropic.Anthropic) -> None:
    assert [model.id for model in client.models.list()] == ["auto", "small", "claude"]
    assert client.models.retrieve("claude").display_name == "claude"
