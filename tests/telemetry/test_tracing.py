"""Spans of a worker's calls, as an exporter gets them, with the real engine and the real simulator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from laneway import Laneway, TaskFailed
from laneway.config.load import load
from laneway.simulator.process import SimulatorProcess
from laneway.task import Failure, FailureClass
from laneway.telemetry import tracing
from laneway.telemetry.tracing import error_type
from laneway.telemetry.wanted import are_wanted, carried, parent_of
from tests.simulators import SimulatorThread

KEY = "sk-c4nary-0123456789abcdef"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HIDDEN = "hide_content = true\n"
ON = {"OTEL_TRACES_EXPORTER": "otlp"}
CONFIG = """
{top}
[accounts.main]
provider = "openai"
[models.small]
account = "main"
id = "gpt-4o-mini"
params = {{ temperature = 0.5 }}
[types.ask]
prompt = "ask.j2"
max_attempts = 1
max_output_tokens = 77
[defaults]
model = "small"
"""


@pytest.fixture
def simulator() -> Iterator[SimulatorProcess]:
    started = SimulatorThread(latency=0.01, output_tokens=10).start()
    yield started
    started.stop()


class Exported:
    """What the exporters of all workers of a test got."""

    def __init__(self) -> None:
        self._exporters: list[InMemorySpanExporter] = []

    def provider(self, env: object) -> TracerProvider:
        self._exporters.append(InMemorySpanExporter())
        made = TracerProvider(shutdown_on_exit=False)
        made.add_span_processor(SimpleSpanProcessor(self._exporters[-1]))
        return made

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span for exporter in self._exporters for span in exporter.get_finished_spans()]


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Exported:
    made = Exported()
    monkeypatch.setattr(tracing, "provider", made.provider)
    return made


def laneway_in(folder: Path, simulator: SimulatorProcess, top: str = "", **env: str) -> Laneway:
    (folder / "ask.j2").write_text("Say {{ what }}")
    (folder / "laneway.toml").write_text(CONFIG.format(top=top))
    own = {"OPENAI_BASE_URL": simulator.url, "OPENAI_API_KEY": KEY, **env}
    return Laneway(load([], env=own, cwd=folder), store=f"sqlite:///{folder}/s.db", env=own)


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_a_call_is_a_client_span_by_the_conventions(
    tmp_path: Path, simulator: SimulatorProcess, exported: Exported
) -> None:
    lw = laneway_in(tmp_path, simulator, **ON)
    async with lw.worker():
        job = await lw.submit("ask", what="canary words", tags=[f"traceparent={PARENT}"], team="legal")
        await job.result(20)
    await lw.close()
    (span,) = exported.spans
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o-mini", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.parent is not None
    assert f"{span.context.trace_id:032x}-{span.parent.span_id:016x}" == PARENT[3:52]
    said = attributes(span)
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.max_tokens": 77,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.output_tokens": 10,
        "server.address": "127.0.0.1",
        "laneway.task.id": job.id,
        "laneway.task.type": "ask",
        "laneway.team": "legal",
        "laneway.attempt": 1,
        "laneway.account": "main",
    }
    assert {name: said.get(name) for name in expected} == expected
    assert str(said["gen_ai.response.model"]).startswith("gpt-4o-mini")
    assert said["laneway.cost_usd"]
    assert "canary" not in span.to_json(), "content is off, and a key is never in it"


async def test_content_comes_where_it_is_asked_for_and_not_where_it_is_hidden(
    tmp_path: Path, simulator: SimulatorProcess, exported: Exported
) -> None:
    for hidden in (False, True):
        lw = laneway_in(tmp_path, simulator, HIDDEN * hidden + "[telemetry]\ncontent = true", **ON)
        async with lw.worker():
            await (await lw.submit("ask", what=f"words with {KEY} in them {hidden}")).result(20)
        await lw.close()
    shown, hidden_one = map(attributes, exported.spans)
    (asked,) = json.loads(str(shown["gen_ai.input.messages"]))
    assert asked["role"] == "user"
    assert asked["parts"][0]["content"] == "Say words with [hidden] in them False"
    (answer,) = json.loads(str(shown["gen_ai.output.messages"]))
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert not any(name.endswith("messages") for name in hidden_one)


async def test_calls_of_own_code_lie_below_its_span(
    tmp_path: Path, simulator: SimulatorProcess, exported: Exported
) -> None:
    lw = laneway_in(tmp_path, simulator, **ON)

    @lw.task
    async def twice() -> None:
        await lw.call("small", "one")
        await lw.call("small", "two")

    async with lw.worker():
        await (await lw.submit(twice)).result(20)
    await lw.close()
    first, second, own = exported.spans
    assert (own.name, own.kind, own.parent) == ("task twice", SpanKind.INTERNAL, None)
    assert {span.name for span in (first, second)} == {"chat gpt-4o-mini"}
    assert {span.parent.span_id for span in (first, second) if span.parent} == {own.context.span_id}


async def test_a_failure_is_named_without_its_words(
    tmp_path: Path, simulator: SimulatorProcess, exported: Exported
) -> None:
    lw = laneway_in(tmp_path, simulator, **ON)

    @lw.task
    async def bad() -> None:
        raise ValueError("canary words")

    async with lw.worker():
        with pytest.raises(TaskFailed):
            await (await lw.submit(bad)).result(20)
    await lw.close()
    (span,) = exported.spans
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["error.type"]
    assert "canary" not in span.to_json()


def test_an_error_type_is_one_of_few_words() -> None:
    def failure(code: str, status: int | None = None) -> Failure:
        return Failure(FailureClass.REQUEST, code, "words", status)

    assert error_type(failure("context_length_exceeded", 400)) == "context_length_exceeded"
    assert error_type(failure("your prompt: 'x'", 400)) == "400"
    assert error_type(failure("your prompt: 'x'")) == "_OTHER"


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, False),
        (ON, True),
    ],
)
def test_the_environment_says_whether(env: dict[str, str], wanted: bool) -> None:
    assert are_wanted(env) is wanted


def test_a_submitters_trace_travels_as_a_tag() -> None:
    assert parent_of(("a", *carried({"traceparent": PARENT}, ON))) == PARENT
    assert carried({"traceparent": PARENT}, {}) == (), "where nobody traces it would only be in the way"
    for wrong in ("", "00-0-0-01", PARENT + "\n", PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32)):
        assert carried({"traceparent": wrong}, ON) == ()


def test_without_a_wish_for_traces_nothing_is_imported_or_wrapped(tmp_path: Path, simulator: SimulatorProcess) -> None:
    program = """
import asyncio, os, sys
from laneway import Laneway
async def main():
    lw = Laneway(store="sqlite:///s.db")
    async with lw.worker():
        await (await lw.submit("ask", what="x")).result(20)
    await lw.close()
asyncio.run(main())
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    laneway_in(tmp_path, simulator)
    env = {"OPENAI_BASE_URL": simulator.url, "OPENAI_API_KEY": KEY, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
