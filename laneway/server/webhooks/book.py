"""Webhooks: who is to be told, and the telling. All of it lies in the store, so that a killed server forgets nothing,
and several of one store share the work."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from aiohttp.abc import AbstractResolver
from yarl import URL

from laneway.errors import ConfigError, InputError, StoreError
from laneway.server.webhooks.messages import message
from laneway.server.webhooks.sending import Delivery, deliver
from laneway.server.webhooks.signing import of_team, secrets_in, signed
from laneway.server.webhooks.targets import Places
from laneway.store.webhooks import NOT_ENDED, Webhook

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.task import Task

LOOKS_S = 0.5  # between looks for tasks that have ended, and for deliveries that are due
WHOLE_LOOK_S = 60.0  # between looks for what ended while nobody looked
LEASE_S = 60.0  # in which a delivery ends; after it another server may begin one
AT_ONCE = 50  # deliveries of this process
AWAY_S = 60.0  # for which a host is left alone after it has not answered: it would hold up what goes to others
MOST_AWAY = 10_000  # hosts of which that is remembered
# After each failure, in seconds; about a day in all.
DELAYS = (5, 60, 300, 1_800, 7_200, 18_000, 28_800, 28_800)
LONGEST_WAIT_S = 28_800.0
SPREAD = 0.2  # of a delay, at random, so that not all come back at once

log = logging.getLogger(__name__)


class Ask(NamedTuple):
    """That somebody be told of a task. ``url``: as ``check`` gave it."""

    task_id: int
    url: str
    team: str | None


class Webhooks:
    """``resolver``: of names, instead of the system's."""

    def __init__(self, lw: Laneway, resolver: AbstractResolver | None = None) -> None:
        self._lw = lw
        self._resolver = resolver
        self._seen: int | None = None
        self._looked_at = float("-inf")
        self._sending: set[asyncio.Task[None]] = set()
        self._away: dict[str, float] = {}  # until when, by host

    def check(self, url: str) -> str:
        """The address as it is kept. Raises InputError for one that could never be told, and where nothing can be
        signed; ConfigError for a wrong secret or host of the config."""
        if not self._secrets():
            name = self._lw.config.server.webhook_secret_env
            raise InputError(f"webhooks are not set up here: {name} holds no secret", hint="ask who runs this server")
        return str(self._places().target(url))

    async def register(self, asks: Sequence[Ask]) -> None:
        """Durable when this returns. The same again is known."""
        now = self._lw.clock.now()
        hooks = [Webhook(_name(one), one.task_id, one.url, one.team, now) for one in asks]
        if hooks:
            await self._lw.store.add_webhooks(hooks, now)

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """For the length of the block. What is on its way at its end is sent again by whoever comes next."""
        working = asyncio.ensure_future(self._work())
        try:
            yield
        finally:
            rest = [working, *self._sending]
            for one in rest:
                one.cancel()
            await asyncio.wait(rest)

    async def look(self) -> None:
        """Begin what is due."""
        now = self._lw.clock.now()
        if now - self._looked_at >= WHOLE_LOOK_S:
            self._looked_at, self._seen = now, None
        self._seen = await self._lw.store.rouse_webhooks(self._seen, now)
        room = AT_ONCE - len(self._sending)
        if room <= 0:
            return
        for hook in await self._lw.store.claim_webhooks(now, now + LEASE_S, room):
            sending = asyncio.ensure_future(self._send(hook))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def settled(self) -> None:
        """Until nothing is on its way."""
        while self._sending:
            await asyncio.wait(self._sending)

    async def _work(self) -> None:
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.warning("webhooks: %s", error.message)
                await asyncio.sleep(LOOKS_S * 4)
            await asyncio.sleep(LOOKS_S)

    async def _send(self, hook: Webhook) -> None:
        try:
            after = await self._after(hook)
            await self._lw.store.settle_webhook(hook, after)
        except StoreError as error:
            log.warning("webhooks: %s", error.message)  # it is sent again when the store is back

    async def _after(self, hook: Webhook) -> Webhook:
        """Try to deliver it; how it stands then."""
        now, url = self._lw.clock.now(), URL(hook.url, encoded=True)
        if (back := self._away.get(url.host or "", now)) > now:
            return hook._replace(attempts=hook.attempts - 1, next_at=back)
        found = await self._lw.store.get_tasks([hook.task_id])
        if found and not found[0].state.ended:  # it goes again
            return hook._replace(attempts=0, next_at=NOT_ENDED)
        delivery = await self._deliver(hook, url, found[0]) if found else Delivery("its task is gone", final=True)
        now = self._lw.clock.now()
        if delivery.unanswered:
            self._stay_away(url.host or "", now)
        if delivery.error is None:
            return hook._replace(next_at=None, done_at=now, error=None)
        next_at = None if delivery.final else _next(hook.attempts, now, delivery.wait)
        end = "given up" if next_at is None else f"again in {next_at - now:,.0f} s"
        log.info("webhook of task %d, delivery %d: %s; %s", hook.task_id, hook.attempts, delivery.error, end)
        return hook._replace(next_at=next_at, done_at=now if next_at is None else None, error=delivery.error)

    async def _deliver(self, hook: Webhook, url: URL, task: Task) -> Delivery:
        try:
            secrets, places = of_team(self._secrets(), hook.team), self._places()
        except ConfigError as error:
            return Delivery(error.message)
        if not secrets:
            return Delivery("there is no secret to sign with")
        body, now = await message(self._lw, task), self._lw.clock.now()
        headers = signed(secrets, f"{hook.id}-{round((task.settled_at or 0.0) * 1000)}", int(now), body)
        return await deliver(places, url, headers, body, now, self._resolver)

    def _stay_away(self, host: str, now: float) -> None:
        if len(self._away) >= MOST_AWAY:
            self._away = {one: until for one, until in self._away.items() if until > now}
        if len(self._away) < MOST_AWAY:
            self._away[host] = now + AWAY_S

    def _secrets(self) -> list[bytes]:
        return secrets_in(self._lw.env, self._lw.config.server.webhook_secret_env)

    def _places(self) -> Places:
        return Places(self._lw.config.server.webhook_hosts)


def _name(ask: Ask) -> str:
    """The same for the same, so that a repeated request asks for nothing more."""
    return "wh_" + hashlib.blake2b(f"{ask.task_id} {ask.url}".encode(), digest_size=16).hexdigest()


def _next(attempts: int, now: float, wait: float) -> float | None:
    """When to try again after so many deliveries; None: not any more."""
    if attempts > len(DELAYS):
        return None
    delay = DELAYS[attempts - 1] * (1 + random.uniform(0, SPREAD))
    return now + max(delay, min(wait, LONGEST_WAIT_S))
