"""When work will have ended, at the pace of late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from laneway.store.tallies import TallyKind
from laneway.task import Urgency

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.cells import CellTally

LATELY_S = 600.0


async def eta(lw: Laneway, cells: Iterable[CellTally]) -> float | None:
    """Seconds until these have ended, with all that goes before them in their lanes: what is as urgent or more so.
    None: in one of the lanes nothing has ended lately."""
    last = defaultdict[str, list[Urgency]](list)
    for cell in cells:
        if any(n for state, n in cell.counts.items() if not state.ended):
            last[cell.lane].append(cell.urgency)
    if not last:
        return 0.0
    now = lw.clock.now()
    ended = {
        one.name: one.ended
        for one in await lw.store.tallies(TallyKind.LANE, now - LATELY_S, now + 1, whole=True, times=False)
    }
    before = defaultdict[str, int](int)
    for depth in await lw.store.depths():
        if depth.lane in last and depth.urgency <= max(last[depth.lane]):
            before[depth.lane] += sum(n for state, n in depth.counts.items() if not state.ended)
    times = [before[lane] * LATELY_S / ended[lane] if ended.get(lane) else None for lane in last]
    return None if None in times else max(one for one in times if one is not None)
