"""One delivery: a POST, and what its status means."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from laneway.providers.headers import retry_after
from laneway.server.webhooks.targets import CheckedResolver, Forbidden, Places
from laneway.version import VERSION

PATIENCE = aiohttp.ClientTimeout(total=15, sock_connect=5)  # seconds, as the specification advises


@dataclass(frozen=True, slots=True)
class Delivery:
    """``error`` None: it has come to them. ``final``: to try it again is of no use. ``wait``: seconds they ask for.
    ``unanswered``: nobody is there, or is too slow."""

    error: str | None = None
    final: bool = False
    wait: float = 0.0
    unanswered: bool = False


async def deliver(
    places: Places,
    url: URL,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    resolver: AbstractResolver | None = None,
) -> Delivery:
    """On a connection of its own: no redirects, proxies or cookies; of the answer nothing but the head is read."""
    try:
        places.check_host(url.raw_host or "")  # a literal address is resolved by nobody
        checked = CheckedResolver(places, resolver or aiohttp.ThreadedResolver())
        connector = aiohttp.TCPConnector(
            resolver=checked, use_dns_cache=False, force_close=True, limit=1, family=socket.AF_UNSPEC
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                timeout=PATIENCE,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": f"laneway/{VERSION}", "Content-Type": "application/json"},
            ) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            answer.close()
            return _meaning(answer.status, retry_after(answer.headers, now))
    except Forbidden as error:
        return Delivery(str(error), final=True)
    except asyncio.TimeoutError:  # noqa: UP041 - aiohttp's are kinds of it
        return Delivery("no answer in time", unanswered=True)
    except aiohttp.ClientConnectorDNSError:
        return Delivery("its name is not known", unanswered=True)
    except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
        return Delivery(f"no connection ({type(error).__name__})", unanswered=True)


def _meaning(status: int, wait: float | None) -> Delivery:
    if 200 <= status < 300:
        return Delivery()
    if 300 <= status < 400:
        return Delivery(f"HTTP {status}: redirects are not followed")
    return Delivery(f"HTTP {status}", final=status == 410, wait=wait or 0.0)
