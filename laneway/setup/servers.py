"""Asking an endpoint what models it has: the free call that says whether address and key are right."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

LARGEST_LIST = 8_000_000  # bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """An endpoint's answer to ``GET /models``. ``status`` 0: there was none, and ``said`` tells why."""

    status: int
    models: tuple[str, ...] = ()
    is_list: bool = False  # the answer was a list of models
    said: str = ""  # the endpoint's own words, where it refused
    seconds: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0  # our clock when the answer came, seconds since 1970


async def ask_models(
    session: aiohttp.ClientSession,
    base_url: str,
    *,
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    timeout: float,
    query: str = "",
) -> Heard:
    """``GET base_url/models``; ``timeout`` in seconds. Never raises for what an endpoint does."""
    import aiohttp

    began = time.perf_counter()
    try:
        async with session.get(
            base_url + "/models" + query,
            headers=headers,
            proxy=proxy,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout),
        ) as response:
            body = await response.content.read(LARGEST_LIST)
            while not response.content.at_eof() and len(body) < LARGEST_LIST:
                body += await response.content.read(LARGEST_LIST)
            took, now = time.perf_counter() - began, time.time()
            found = _ids(body) if response.status == 200 else None
            return Heard(
                response.status, found or (), found is not None, _words(body), took, dict(response.headers), now
            )
    except TimeoutError:
        return Heard(0, said=f"no answer within {timeout:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Heard(0, said=_of_connection(error))


def _ids(body: bytes) -> tuple[str, ...] | None:
    """The ids in ``{"data": [{"id": …}]}`` (all providers but Together, which sends the bare list)."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    listed = told.get("data", told.get("models")) if isinstance(told, dict) else told
    if listed is None and isinstance(told, dict) and told.get("object") == "list":
        return ()  # Ollama without a model: {"object": "list", "data": null}
    if not isinstance(listed, list):
        return None
    return tuple(str(one["id"]) for one in listed if isinstance(one, dict) and "id" in one)


def _words(body: bytes) -> str:
    from laneway.providers.failures import clean

    try:
        told: Any = json.loads(body)
    except ValueError:
        return "an HTML page" if body.lstrip()[:1] == b"<" else clean(body[:400].decode("utf-8", "replace"))
    error = told.get("error", told.get("message", "")) if isinstance(told, dict) else ""
    return clean(str(error.get("message", "") if isinstance(error, dict) else error))


def _of_connection(error: BaseException) -> str:
    import aiohttp

    from laneway.providers.failures import clean

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not accepted"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "nothing listens there"
    return clean(str(error)) or type(error).__name__
