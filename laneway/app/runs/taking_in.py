"""From an input to tasks with a route: what ``run`` submits and ``plan`` counts. Nothing here is stored or sent."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.app.budgets import check_prices
from laneway.app.routing import Routed, Routing
from laneway.app.runs.price_lines import price_lines
from laneway.errors import AuthError, BudgetError, ConfigError, ConflictError, InputError, NoModel
from laneway.intake.draft import BadLine, Draft
from laneway.intake.faults import Faults
from laneway.intake.reading import Reading

if TYPE_CHECKING:
    from laneway.app.inquiries import Inquiries
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog
    from laneway.store.runs import Run
    from laneway.task import NewTask

CHUNK = 500  # tasks in one submission to the store …
CHUNK_BYTES = 32_000_000  # … or as many as have this size together
TOGETHER_S = 60.0  # what is read within so long counts as submitted at one time

log = logging.getLogger(__name__)


class OnBadInput(StrEnum):
    STOP = "stop"
    SKIP = "skip"


class TakingIn:
    """Read ``chunks()`` to the end, ``submit`` each chunk (or tell its fate by ``taken_in``), then call ``finish``."""

    def __init__(self, lw: Laneway, reading: Reading, catalog: Catalog, *, anew: bool = False) -> None:
        """``anew``: nothing that was done before counts."""
        self._lw = lw
        self._began = lw.clock.now()
        self._reading = reading
        self._catalog = catalog
        self.faults = Faults(reading.name, hide_content=lw.config.hide_content)
        self.taken = self.deduplicated = self.conflicts = self._without_model = 0
        self._no_model: NoModel | None = None
        self.kept: Path | None = None  # where the faults are written
        self._routing = Routing(lw, catalog, anew=anew)
        self.models = self._routing.models  # every model of every route, fallbacks too

    def chunks(self) -> Iterator[list[Routed]]:
        """Routed tasks, ``CHUNK`` at a time, fewer of large ones. What cannot become a task goes to ``faults``."""
        chunk: list[Draft] = []
        size = 0
        for item in self._reading:
            if isinstance(item, BadLine):
                self.faults.add(item)
                continue
            chunk.append(item)
            size += len(item.body)
            if len(chunk) == CHUNK or size > CHUNK_BYTES:
                yield self._routed(chunk)
                chunk, size = [], 0
        if chunk:
            yield self._routed(chunk)

    async def submit(
        self, run: Run, chunk: list[Routed], now: float, change: Callable[[NewTask], NewTask] = lambda task: task
    ) -> None:
        """Take a chunk into a run, held back, with questions to the classifier where something is left open."""
        store, inquiries = self._lw.store, self.inquiries
        if inquiries is None:
            done = await store.submit(run, [change(routed.task) for routed in chunk], now, held=True)
        else:
            from laneway.app.inquiries import Asked

            asked = [Asked(change(routed.task), routed.patient) for routed in chunk]
            done = await inquiries.submit(store, run, asked, now, held=True)
        self.taken_in(chunk, done.duplicates + done.shared, done.conflicts)

    @property
    def inquiries(self) -> Inquiries | None:
        """Where the config has a classifier."""
        return self._routing.inquiries

    @property
    def from_cache(self) -> int:
        """Of how many the classifier had said before what they are."""
        return self.inquiries.from_cache if self.inquiries else 0

    def taken_in(self, chunk: list[Routed], duplicates: int, conflicts: list[int]) -> None:
        """Count a chunk. ``conflicts``: positions of tasks whose key came before with another body."""
        for position in conflicts:
            draft = chunk[position].draft
            self.faults.add(draft.bad(f"the key {draft.key!r} came before with another body"))
        self.conflicts += len(conflicts)
        self.deduplicated += duplicates
        self.taken += len(chunk) - len(conflicts)

    def keep_faults(self) -> None:
        """Write what was skipped into the side file beside the input, or take an earlier one away when there is
        nothing. Raises InputError when that cannot be."""
        path = self._reading.side_file()
        try:
            if not self.faults.count:
                path.unlink(missing_ok=True)
                return
            self.kept = path
            self.faults.write(path)
        except OSError as error:
            raise InputError(
                f"what cannot be used cannot be kept in {path}: {error.strerror}",
                hint="run it from a folder of your own",
            ) from None

    def finish(self, on_bad_input: OnBadInput) -> None:
        """Raises InputError or ConflictError for what cannot be used, ConfigError or AuthError for a model that cannot
        be called."""
        if self._no_model is not None and self._without_model == self.faults.count and not self.taken:
            raise self._no_model  # no line is to blame
        if self.faults.count and on_bad_input is OnBadInput.STOP:
            raise self._bad_input()
        if not self.taken:
            raise InputError(
                f"{self._reading.name} holds no tasks", hint="one task a line; see the README for the formats"
            )
        for rule, why in self._lw.triage.unused():
            log.warning("%s never matched: %s", rule, why)
        self._catalog.check(self.models)

    def _bad_input(self) -> InputError:
        if self.conflicts and self.conflicts == self.faults.count:
            return ConflictError(self.faults.report(), hint="give every task a key of its own")
        return InputError(self.faults.report(), hint="mend these lines, or go on without them: --on-bad-input skip")

    def check_day_budgets(self) -> None:
        """Raises BudgetError when a budget a day cannot be kept: a model that may be called has no price."""
        check_prices(self._lw.config, self._catalog, self._routing.ways)

    def check_prices(self) -> None:
        """Raises BudgetError when a model that may be called has no price; its hint is what to write into the
        config."""
        self._catalog.load_prices()
        names = self.models | (set(self._callable()) if self._reading.calls else set())  # they may call any
        models = [self._catalog.model(name) for name in sorted(names)]
        unpriced = [model for model in models if model.input_price is None or model.output_price is None]
        if unpriced:
            raise BudgetError(
                f"--max-cost needs a price for every model; there is none for {', '.join(m.name for m in unpriced)}",
                hint=price_lines(self._lw.config, models, unpriced),
            )

    def _callable(self) -> Iterator[str]:
        """The config's models that can be called."""
        for name in self._lw.config.models:
            with contextlib.suppress(ConfigError, AuthError):
                yield self._catalog.model(name).name

    # one task -----------------------------------------------------------------------------------------------------
    def _routed(self, drafts: list[Draft]) -> list[Routed]:
        routed = []
        now = max(self._began, self._lw.clock.now() - TOGETHER_S)
        for draft, patient in zip(drafts, self._routing.patients(drafts), strict=True):
            try:
                routed.append(self._routing.route(draft, now, patient))
            except InputError as error:
                self.faults.add(draft.bad(error.message))
                if isinstance(error, NoModel):
                    self._without_model, self._no_model = self._without_model + 1, error
        return routed
