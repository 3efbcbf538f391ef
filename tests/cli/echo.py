"""A provider that tells everybody the key it was called with: in answers, errors, headers and redirects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAYS = ("answer", "bad request", "gone wrong", "error in a 200", "page", "not as asked for")


class _Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        key = self.headers.get("x-secret") or self.headers.get("authorization", "").removeprefix("Bearer ")
        self._say(418, {"error": {"message": f"you sent {key}", "code": key}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = asked["messages"][-1]["content"]
        key = self.headers.get("x-secret") or self.headers["authorization"].removeprefix("Bearer ")
        said = f"you sent {key} and asked: {prompt}"
        way = next((way for way in WAYS if way in prompt), "answer")
        if self.path.startswith("/refused"):
            self._say(401, {"error": {"message": said, "code": "invalid_api_key"}})
        elif self.path.startswith("/redirecting"):
            self._say(302, {}, location=f"http://127.0.0.1:1/?leak={key}")
        elif way == "answer":
            self._say(200, _answer(said))
        elif way == "not as asked for":
            self._say(200, _answer(json.dumps({"risk": said})))
        elif way == "error in a 200":
            self._say(200, {"error": {"message": said, "code": key, "type": "invalid_request_error"}})
        elif way == "page":
            self._send(502, f"<html><body>{said}</body></html>".encode(), "text/html")
        else:
            self._say(400 if way == "bad request" else 500, {"error": {"message": said, "code": key, "type": key}})

    def _say(self, status: int, data: Any, **headers: str) -> None:
        self._send(status, json.dumps(data).encode(), "application/json", **headers)

    def _send(self, status: int, body: bytes, kind: str, **headers: str) -> None:
        key = self.headers.get("x-secret") or self.headers.get("authorization")
        self.send_response(status)
        for name, value in {"content-type": kind, "x-request-id": f"req-{key}", **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _answer(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
    }


@contextmanager
def echo_provider() -> Iterator[str]:
    """Its base_url."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
