"""Figures by time."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from laneway.store.postgres.base import Base
from laneway.store.postgres.connection import Db, rows, run, text
from laneway.store.postgres.transaction import Transaction
from laneway.store.tallies import HOUR_S, KEPT_S, MINUTE_S, Tally, TallyKind, rows_of, tallies_of, times_of
from laneway.store.teams import ALL, Everyone, OfTeam

_SUMS = (
    "succeeded",
    "failed",
    "cancelled",
    "calls",
    "retries",
    "rate_limited",
    "input_tokens",
    "output_tokens",
    "cost",
)
_TYPES = ("bigint", "bigint", "text", "text", "text", *("bigint" for _ in _SUMS[:-1]), "float8")
ADD = f"""
    INSERT INTO laneway.tally AS t (span, at, team, kind, name, {", ".join(_SUMS)})
    SELECT * FROM unnest({", ".join(f"%s::{type_}[]" for type_ in _TYPES)})
    ON CONFLICT (span, at, team, kind, name) DO UPDATE SET
        {", ".join(f"{column} = t.{column} + excluded.{column}" for column in _SUMS)}
"""
ADD_TIMES = """
    INSERT INTO laneway.tally_time AS t (span, at, team, kind, name, what, bucket, n)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                         %s::bigint[])
    ON CONFLICT (span, at, team, kind, name, what, bucket) DO UPDATE SET n = t.n + excluded.n
"""
DROP = "DELETE FROM laneway.{} WHERE span = %s AND at < %s"
_WHERE = """
    WHERE span = %(span)s AND at >= %(since)s AND at < %(until)s AND kind = %(kind)s
          AND (%(everyone)s OR team = %(team)s)
"""
_AT = "CASE WHEN %(whole)s THEN %(since)s::bigint ELSE at END"
TALLIES = f"""
    SELECT {_AT}, name, {", ".join(f"sum({column})::bigint" for column in _SUMS[:-1])}, sum(cost)
    FROM laneway.tally {_WHERE} GROUP BY 1, 2 ORDER BY 1, 2
"""
TIMES = f"""
    SELECT {_AT}, name, what, bucket, sum(n)::bigint FROM laneway.tally_time {_WHERE} GROUP BY 1, 2, 3, 4
"""


class Tallies(Base):
    """These verbs of the store."""

    async def add_tallies(self, tallies: Sequence[Tally], now: float) -> None:
        await self._upkeep.write(lambda tx: add(tx, tallies, now))

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
    """In order of time and names, so that processes that add at the same time wait for each other in one order."""
    for sql, added in ((ADD, rows_of(tallies)), (ADD_TIMES, times_of(tallies))):
        if added:
            columns = [list(column) for column in zip(*added, strict=True)]
            run(tx.db, sql, [*columns[:2], *([text(word) for word in column] for column in columns[2:5]), *columns[5:]])
    for (table, span), kept in KEPT_S.items():
        run(tx.db, DROP.format(table), (span, int(now - kept)))


def read(db: Db, kind: TallyKind, time: tuple[int, int, int], team: OfTeam, whole: bool, times: bool) -> list[Tally]:
    """``time``: span, since, until."""
    own = None if isinstance(team, Everyone) else team
    bindings = {
        "span": time[0],
        "since": time[1],
        "until": time[2],
        "kind": kind.value,
        "everyone": isinstance(team, Everyone),
        "team": own or "",
        "whole": whole,
    }
    return tallies_of(rows(db, TALLIES, bindings), rows(db, TIMES, bindings) if times else (), kind, own)
