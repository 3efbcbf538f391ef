"""``laneway serve`` sends its spans to a collector: real commands, real OTLP over HTTP on loopback."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.conftest import Desk
from tests.server.conftest import serve as serve  # the fixture
from tests.server.served import CHAT, Serve, Simulate

KEY = "sk-c4nary-0123456789abcdef"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector:
    """An OTLP receiver that keeps what it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[str] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers.get("Content-Encoding") == "gzip"
                collector.bodies.append(gzip.decompress(body) if packed else body)
                collector.headers.append(str(self.headers))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not on the tests' standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_spans_reach_a_collector_under_the_submitters_trace_and_hold_no_key(
    desk: Desk, serve: Serve, simulate: Simulate, collector: Collector
) -> None:
    simulate()
    desk.env |= {"OPENAI_API_KEY": KEY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LANEWAY_LOG_FORMAT": "json"}
    served = serve()
    assert served.ask("/chat/completions", CHAT, traceparent=PARENT)[0] == 200
    assert served.stop() == (0, "")
    found = [ExportTraceServiceRequest.FromString(body) for body in collector.bodies]
    (resource,) = [one for request in found for one in request.resource_spans]
    service = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert service["service.name"] == "laneway"
    (span,) = [span for scope in resource.scope_spans for span in scope.spans]
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (
        "chat gpt-4o-mini",
        PARENT[3:35],
        PARENT[36:52],
    )
    assert not any(KEY.encode() in body or b"hello" in body for body in collector.bodies)
    assert KEY not in "".join(collector.headers)


def test_tasks_of_the_native_api_carry_their_submitters_trace(
    desk: Desk, serve: Serve, simulate: Simulate, collector: Collector
) -> None:
    simulate()
    desk.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    served = serve()
    served.url = served.url.removesuffix("/v1") + "/api/v1"
    status, task, _ = served.ask("/tasks", {"prompt": "hello", "tags": ["mine"]}, traceparent=PARENT)
    assert (status, task["tags"]) == (201, ["mine", f"traceparent={PARENT}"])
    bulk = {"tasks": [{"prompt": "one"}, {"prompt": "two"}]}
    assert served.ask("/tasks/bulk", bulk, traceparent=PARENT)[0] == 201
    assert served.ask("/tasks", {"prompt": "no trace"}, traceparent="rubbish")[1]["tags"] == []
    served.stop()


def test_a_collector_that_is_away_costs_no_task(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    served = serve()
    assert served.ask("/chat/completions", CHAT)[0] == 200
    assert served.stop()[0] == 0
