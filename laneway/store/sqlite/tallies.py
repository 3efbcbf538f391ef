"""Figures by time."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import apsw

from laneway.store.sqlite.base import Base
from laneway.store.sqlite.transaction import Transaction
from laneway.store.tallies import HOUR_S, KEPT_S, MINUTE_S, Tally, TallyKind, rows_of, tallies_of, times_of
from laneway.store.teams import ALL, Everyone, OfTeam

ADD = """
    INSERT INTO tally (span, at, team, kind, name, succeeded, failed, cancelled, calls, retries, rate_limited,
                       input_tokens, output_tokens, cost)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,
        cancelled = cancelled + excluded.cancelled, calls = calls + excluded.calls,
        retries = retries + excluded.retries, rate_limited = rate_limited + excluded.rate_limited,
        input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens,
        cost = cost + excluded.cost
"""
ADD_TIMES = """
    INSERT INTO tally_time (span, at, team, kind, name, what, bucket, n) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET n = n + excluded.n
"""
DROP = "DELETE FROM {} WHERE span = ? AND at < ?"
_WHERE = "WHERE span = ?1 AND at >= ?2 AND at < ?3 AND kind = ?4 AND (?5 OR team = ?6)"
_AT = "iif(?7, ?2, at)"
TALLIES = f"""
    SELECT {_AT}, name, sum(succeeded), sum(failed), sum(cancelled), sum(calls), sum(retries), sum(rate_limited),
           sum(input_tokens), sum(output_tokens), total(cost)
    FROM tally {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2
"""
TIMES = f"SELECT {_AT}, name, what, bucket, sum(n) FROM tally_time {_WHERE} GROUP BY 1, 2, 3, 4"


class Tallies(Base):
    """These verbs of the store."""

    async def add_tallies(self, tallies: Sequence[Tally], now: float) -> None:
        await self._writer.write(lambda tx: add(tx, tallies, now))

    async def tallies(
        self,
        kind: TallyKind,
        since: float,
        until: float,
        *,
        span: int = MINUTE_S,
        team: OfTeam = ALL,
        whole: bool = False,
        times: bool = True,
    ) -> list[Tally]:
        return await self._read_long(
            lambda db: read(db, kind, (span, ceil(since), ceil(until)), team, whole, times and span == HOUR_S)
        )


def add(tx: Transaction, tallies: Sequence[Tally], now: float) -> None:
    tx.db.executemany(ADD, rows_of(tallies))
    tx.db.executemany(ADD_TIMES, times_of(tallies))
    for (table, span), kept in KEPT_S.items():
        tx.db.execute(DROP.format(table), (span, int(now - kept)))


def read(
    db: apsw.Connection, kind: TallyKind, time: tuple[int, int, int], team: OfTeam, whole: bool, times: bool
) -> list[Tally]:
    """``time``: span, since, until."""
    own = None if isinstance(team, Everyone) else team
    bindings = (*time, kind.value, isinstance(team, Everyone), own or "", whole)
    histograms = db.execute(TIMES, bindings).fetchall() if times else ()
    return tallies_of(db.execute(TALLIES, bindings), histograms, kind, own)
