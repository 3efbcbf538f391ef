"""Two providers side by side: bodies of both formats, models of both, one file. The simulators' own books are the
judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import apsw
import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.simulators import SimulatorThread

PRICES = {
    "gpt-4o-mini": {"input_price": 0.15, "output_price": 0.60, "cached_price": 0.075},
    "claude-haiku-4-5": {"input_price": 1.0, "output_price": 5.0, "cached_price": 0.1, "cache_write_price": 1.25},
}
CONFIG = """
[accounts.openai]
provider = "openai"
base_url = "{openai}"
concurrency = 8
[accounts.anthropic]
provider = "anthropic"
base_url = "{anthropic}"
concurrency = 8
[models.gpt]
account = "openai"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.60
cached_price = 0.075
[models.claude]
account = "anthropic"
id = "claude-haiku-4-5"
input_price = 1.0
output_price = 5.0
cached_price = 0.1
cache_write_price = 1.25
[types.verdict]
prompt = "verdict.j2"
output = "verdict.json"
max_output_tokens = 60
max_attempts = 4
[retry]
delays = ["0s"]
[[rules]]
name = "letters"
when = {{ text = "/attorney/" }}
model = "claude"
fallbacks = ["gpt"]
[defaults]
model = "gpt"
fallbacks = ["claude"]
"""
SCHEMA = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}},
    "required": ["risk"],
    "additionalProperties": False,
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Pair:
    """A simulator for each provider, and the config that names both."""

    def __init__(self, desk: Desk, openai: SimulatorProcess, anthropic: SimulatorProcess) -> None:
        self.openai = openai
        self.anthropic = anthropic
        desk.env["ANTHROPIC_API_KEY"] = "sk-ant-test"
        desk.write("laneway.toml", CONFIG.format(openai=openai.url, anthropic=anthropic.url))
        desk.write("verdict.j2", "{{ text }}")
        desk.write("verdict.json", json.dumps(SCHEMA))

    def books(self) -> dict[str, dict[str, Any]]:
        """By the provider's name of the model, over both."""
        found = {}
        for side in (self.openai, self.anthropic):
            stats = side.stats()
            assert stats["requests"] == sum(stats[end] for end in ("completed", "errors", "rate_limited", "cut"))
            found.update(stats["by_model"])
        return found


@pytest.fixture
def pair(desk: Desk) -> Iterator[Callable[..., Pair]]:
    started: list[SimulatorProcess] = []

    def start(openai: dict[str, Any] | None = None, anthropic: dict[str, Any] | None = None) -> Pair:
        desk.write("models.json", json.dumps({"strict": True, **PRICES}))
        for options in (openai or {}, anthropic or {}):
            given = {"latency": 0.01, "output_tokens": 10, "models": desk.folder / "models.json", **options}
            started.append(SimulatorThread(**given).start())
        return Pair(desk, *started)

    yield start
    for simulator in started:
        simulator.stop()


def chat(text: str, **more: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], "temperature": 0.3, **more}
    return {"method": "POST", "url": "/v1/chat/completions", "body": body}


def messages(text: str, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    return {"params": {"model": "claude-haiku-4-5", "max_tokens": 50, "system": "Be brief.", "messages": said, **more}}


def responses(text: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "url": "/v1/responses", "body": {"model": "gpt-4o-mini", "input": text, **more}}


def batch(desk: Desk, rows: list[dict[str, Any]]) -> list[str]:
    keys = [f"t{number}" for number in range(len(rows))]
    lines = [json.dumps({"custom_id": key, **row}) for key, row in zip(keys, rows, strict=True)]
    desk.write("tasks.jsonl", "\n".join(lines) + "\n")
    return keys


def ledger(desk: Desk) -> dict[str, tuple[int, int, float]]:
    """(input tokens, output tokens, USD) of all attempts, by model."""
    db = apsw.Connection(str(desk.folder / ".laneway/laneway.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = db.execute("SELECT model, sum(input_tokens), sum(output_tokens), sum(cost) FROM attempt GROUP BY model")
    return {model: (used, said, cost) for model, used, said, cost in rows}


def assert_books_agree(desk: Desk, pair: Pair) -> None:
    """Tokens to the token, money to the cent's fraction."""
    books, kept = pair.books(), ledger(desk)
    for name, model_id in (("gpt", "gpt-4o-mini"), ("claude", "claude-haiku-4-5")):
        own = books.get(model_id, {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0})
        used, said, cost = kept.get(name, (0, 0, 0.0))
        assert (used, said) == (own["input_tokens"], own["output_tokens"])
        assert cost == pytest.approx(own["cost_usd"] or 0.0, abs=1e-9)


def test_bodies_of_both_formats_over_models_of_both_providers(desk: Desk, pair: Callable[..., Pair]) -> None:
    sides = pair({"cached_rate": 0.3, "written_rate": 0.2}, {"cached_rate": 0.5, "written_rate": 0.4})
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    rows = []
    for number in range(40):
        text = f"the attorney wrote {number}" if number % 4 < 2 else f"a question {number}"
        rows.append(chat(text) if number % 2 == 0 else messages(text))
    rows += [
        chat([{"type": "text", "text": "the attorney drew"}, picture]),  # type: ignore[arg-type]
        messages([{"type": "text", "text": "a drawing"}, {"type": "image", "source": source}]),  # type: ignore[arg-type]
        chat(
            "the attorney asks", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
        ),
        messages("how so", output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        responses("the attorney answers", instructions="Be brief.", max_output_tokens=40),
        responses("no answer yet"),
    ]
    keys = batch(desk, rows)

    done = desk.run("run", "tasks.jsonl", "--triage", "--json")
    assert done.code == 0, done.err
    assert done.json["tasks"]["succeeded"] == len(rows)
    assert done.json["calls"] == len(rows)

    assert_books_agree(desk, sides)
    books = sides.books()
    assert {name: side["completed"] for name, side in books.items()} == {"gpt-4o-mini": 23, "claude-haiku-4-5": 23}
    assert done.json["tokens"]["input"] == sum(side["input_tokens"] for side in books.values())
    assert done.json["tokens"]["output"] == sum(side["output_tokens"] for side in books.values())
    assert done.json["tokens"]["cached"] == sum(side["cached_tokens"] for side in books.values()) > 0
    for name, model_id in (("gpt", "gpt-4o-mini"), ("claude", "claude-haiku-4-5")):
        assert done.json["by_model"][name]["cost_usd"] == pytest.approx(books[model_id]["cost_usd"], abs=1e-8)
    assert done.json["cost_usd"] == pytest.approx(sum(side["cost_usd"] for side in books.values()), abs=1e-8)

    out = {row["custom_id"]: row for row in desk.rows("tasks.results.jsonl")}
    assert sorted(out) == sorted(keys)
    used = said = 0
    for key, row in zip(keys, rows, strict=True):
        if "params" in row:
            message = Message.model_validate(out[key]["result"]["message"])
            read, written = message.usage.cache_read_input_tokens or 0, message.usage.cache_creation_input_tokens or 0
            used += message.usage.input_tokens + read + written
            said += message.usage.output_tokens
        elif row["url"] == "/v1/responses":
            response = Response.model_validate(out[key]["response"]["body"])
            assert response.usage is not None
            assert response.output_text
            used, said = used + response.usage.input_tokens, said + response.usage.output_tokens
        else:
            answer = ChatCompletion.model_validate(out[key]["response"]["body"])
            assert answer.usage is not None
            used, said = used + answer.usage.prompt_tokens, said + answer.usage.completion_tokens
    assert (used, said) == (done.json["tokens"]["input"], done.json["tokens"]["output"])


def test_a_request_that_one_provider_refuses_goes_to_the_other(desk: Desk, pair: Callable[..., Pair]) -> None:
    """Each side knows only its own model's name; a wrong id is a 404, which is about the request, not the task."""
    sides = pair()
    desk.env["LANEWAY_MODELS__GPT__ID"] = "gpt-unknown"
    keys = batch(desk, [chat(f"a question {n}") if n % 2 else messages(f"a question {n}") for n in range(10)])
    done = desk.run("run", "tasks.jsonl", "--triage", "--json")
    assert done.code == 0, done.err
    assert done.json["calls"] == 20
    assert done.json["outcomes"] == {"ok": 10, "request": 10}
    assert sides.openai.stats()["errors"] == sides.anthropic.stats()["completed"] == 10
    kept = ledger(desk)
    assert kept["gpt"][2] == 0.0, "a refusal costs nothing"
    assert kept["claude"][2] == pytest.approx(sides.anthropic.stats()["cost_usd"], abs=1e-9)
    out = {row["custom_id"]: row for row in desk.rows("tasks.results.jsonl")}
    assert sorted(out) == sorted(keys)
    ChatCompletion.model_validate(out["t1"]["response"]["body"])
    Message.model_validate(out["t0"]["result"]["message"])
    explained = desk.run("explain", "t1").out
    assert "gpt on openai: request" in explained
    assert "claude on anthropic: ok" in explained


@pytest.mark.parametrize("broken", ["openai", "anthropic"])
def test_answers_that_are_of_no_use_are_asked_for_at_the_other_provider(
    desk: Desk, pair: Callable[..., Pair], broken: str
) -> None:
    sides = pair(**{broken: {"malformed_rate": 1.0}})
    first = "a question" if broken == "openai" else "the attorney wrote"
    desk.write("tasks.jsonl", "".join(json.dumps({"id": n, "text": f"{first} {n}"}) + "\n" for n in range(6)))
    done = desk.run("run", "tasks.jsonl", "--type", "verdict", "--json")
    assert done.code == 0, done.err
    assert done.json["outcomes"]["output"] >= 6
    assert all(row["output"]["risk"] in ("low", "high") for row in desk.rows("tasks.results.jsonl"))
    assert ("claude" if broken == "openai" else "gpt") in {row["model"] for row in desk.rows("tasks.results.jsonl")}
    assert_books_agree(desk, sides)
    total = sum(cost for _, _, cost in ledger(desk).values())
    assert done.json["cost_usd"] == pytest.approx(total, abs=1e-8), "what was of no use was paid all the same"


def test_what_cannot_be_carried_over_takes_the_model_out_of_the_route(desk: Desk, pair: Callable[..., Pair]) -> None:
    sides = pair()
    bias = {"50256": -100}
    batch(
        desk,
        [
            chat("the attorney wrote", logit_bias=bias),
            chat("a question", logit_bias=bias),
            messages("the attorney too"),
        ],
    )
    done = desk.run("run", "tasks.jsonl", "--triage", "--json")
    assert done.code == 0, done.err
    assert {name: side["completed"] for name, side in sides.books().items()} == {
        "gpt-4o-mini": 2,
        "claude-haiku-4-5": 1,
    }
    explained = desk.run("explain", "t0").out
    assert "not claude: the field 'logit_bias' cannot be carried over into Anthropic Messages" in explained
    assert "claude on" not in explained
    fallback = json.loads(desk.run("explain", "t1", "--json").out)
    assert fallback["route"]["fallbacks"] == []


def test_a_body_that_only_its_own_provider_takes_goes_there(desk: Desk, pair: Callable[..., Pair]) -> None:
    """The default cannot take it, and no rule speaks of it: the model that it names itself can."""
    sides = pair()
    desk.env["LANEWAY_DEFAULTS__FALLBACKS"] = "[]"
    batch(desk, [messages("a question", top_k=5), messages("a question")])
    done = desk.run("run", "tasks.jsonl", "--triage", "--json")
    assert done.code == 0, done.err
    assert (sides.openai.stats()["completed"], sides.anthropic.stats()["completed"]) == (1, 1)
    explained = desk.run("explain", "t0").out
    assert "model: claude   (the request asks for it)" in explained
    assert "not gpt: the field 'top_k' cannot be carried over into Chat Completions" in explained


def test_a_pinned_model_that_cannot_take_it_is_a_bad_line_before_anything_is_paid(
    desk: Desk, pair: Callable[..., Pair]
) -> None:
    sides = pair()
    desk.write(
        "tasks.jsonl",
        "".join(
            json.dumps({"custom_id": key, **row}) + "\n"
            for key, row in (
                ("a", chat("hi")),
                ("b", chat("hi", model="claude", logit_bias={"1": 1})),
                ("c", {"method": "POST", "url": "/v1/embeddings", "body": {"model": "claude", "input": "hi"}}),
            )
        ),
    )
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 2
    message = done.json["error"]["message"]
    assert "model claude, pinned by the request: the field 'logit_bias' cannot be carried over" in message
    assert "a request for OpenAI Embeddings cannot be carried over into Anthropic Messages" in message
    assert sides.openai.stats()["requests"] == sides.anthropic.stats()["requests"] == 0


def test_embeddings_go_to_the_provider_that_has_them(desk: Desk, pair: Callable[..., Pair]) -> None:
    sides = pair()
    rows = [
        {"method": "POST", "url": "/v1/embeddings", "body": {"model": "gpt-4o-mini", "input": f"the attorney {n}"}}
        for n in range(4)
    ]
    batch(desk, rows)
    done = desk.run("run", "tasks.jsonl", "--triage", "--json")
    assert done.code == 0, done.err
    assert_books_agree(desk, sides)
    assert sides.openai.stats()["completed"] == 4
    assert all(row["response"]["body"]["data"][0]["embedding"] for row in desk.rows("tasks.results.jsonl"))


def test_the_books_agree_when_much_goes_wrong(desk: Desk, pair: Callable[..., Pair]) -> None:
    """Errors, refusals and broken answers on both sides: what was answered was paid, once, whichever model it was."""
    faults = {"error_rate": 0.1, "rate_limit_rate": 0.1, "malformed_rate": 0.2, "cached_rate": 0.4, "seed": 1}
    sides = pair(faults, {**faults, "written_rate": 0.5})
    texts = ["the attorney wrote", "a question"]
    rows = [{"id": n, "text": f"{texts[n % 2]} {n}"} for n in range(60)]
    desk.write("records.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    done = desk.run("run", "records.jsonl", "--type", "verdict", "--json")
    assert done.json["tasks"]["succeeded"] >= 57
    assert done.json["outcomes"]["transient"] > 0
    assert done.json["outcomes"]["output"] > 0
    assert_books_agree(desk, sides)
    assert done.json["rate_limited"] == sides.openai.stats()["rate_limited"] + sides.anthropic.stats()["rate_limited"]


def test_without_any_config_each_body_goes_to_its_own_provider(desk: Desk, pair: Callable[..., Pair]) -> None:
    sides = pair()
    (desk.folder / "laneway.toml").unlink()
    desk.env |= {"OPENAI_BASE_URL": sides.openai.url, "ANTHROPIC_BASE_URL": sides.anthropic.url.removesuffix("/v1")}
    batch(desk, [chat("hi"), messages("ho"), responses("hm")])
    done = desk.run("run", "tasks.jsonl", "--json")
    assert done.code == 0, done.err
    assert (sides.openai.stats()["completed"], sides.anthropic.stats()["completed"]) == (2, 1)
