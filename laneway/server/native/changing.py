"""What callers change about tasks: which they may, and to what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.app.steering import check_model
from laneway.server.caller import Caller
from laneway.server.native.bounds import when
from laneway.server.native.forms import ChangeForm
from laneway.server.native.seeing import team_seen
from laneway.server.tokens.allowing import check_lane, check_urgency
from laneway.store.steering import Change, Selector
from laneway.task import Urgency

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.server.native.seeing import Seeing


class Changing:
    def __init__(self, lw: Laneway, seeing: Seeing) -> None:
        self._lw = lw
        self._seeing = seeing

    async def own(self, caller: Caller, selector: Selector) -> Selector:
        """Only what the caller may see. Raises NotFoundError for another's run."""
        if selector.run_id is not None:
            await self._seeing.run(caller, selector.run_id)
        return selector._replace(team=team_seen(caller))

    async def change(self, caller: Caller, form: ChangeForm, selector: Selector) -> Change:
        """Raises LanewayError for what cannot be set of these, Refusal for what is not the caller's to use."""
        lw = self._lw
        change = Change(
            urgency=None if form.urgency is None else lw.triage.urgency_of(form.urgency),
            lane=form.lane,
            model=form.model,
            deadline=when(form.deadline),
            target_waits={one: lw.config.target_wait(one) for one in Urgency},
        )
        if change.urgency is not None:
            check_urgency(caller, change.urgency)
        if change.lane is not None:
            check_lane(caller, change.lane)
        if change.model is not None:
            lw.catalog.model(change.model)
            extent = await lw.store.extent(selector)
            if extent.tasks:
                await check_model(lw, change.model, selector, extent)
        return change
