"""What stays undone: rows of outboxes with a fault, and ended tasks that a callback was never told of."""

from __future__ import annotations

from laneway.app.outbox.callers import Place
from laneway.app.outbox.relay import PREFIX as OUTBOX
from laneway.app.outbox.table import Away, OutboxFile
from laneway.app.python.callbacks import PREFIX as CALLBACK
from laneway.setup.doctor.findings import Finding, ok, problem, warning
from laneway.store.interface import Store


async def examine_left(store: Store) -> list[Finding]:
    """Only what is wrong, and that outboxes can be read."""
    outboxes = (await store.states(OUTBOX)).values()
    found = [_outbox(Place(str(known["path"]), str(known["library"]))) for known, _ in outboxes]
    for name, (known, _) in (await store.states(CALLBACK)).items():
        skipped = known.get("skipped") or []
        if skipped:
            ids = ", ".join(map(str, skipped[-3:]))
            found.append(
                warning(
                    f"callback {name}",
                    f"it raised at {len(skipped):,} ended tasks until they were skipped (the last: {ids})",
                    "mend it, then fetch their results: `laneway results` or job.result()",
                )
            )
    return found


def _outbox(place: Place) -> Finding:
    file = OutboxFile(place)
    name = f"outbox {place.path}"
    try:
        waiting, faults = file.count()
        if not faults:
            return ok(name, f"{waiting:,} tasks wait to be taken" if waiting else "empty")
        example = f"{faults[0][0]!r}: {faults[0][1]}"
        return problem(
            name,
            f"{len(faults):,} rows that the store does not take, for example {example}",
            "submit those tasks again, with another key if theirs is used, and delete the rows in laneway_outbox",
        )
    except Away as error:
        return warning(name, f"it cannot be read: {error}", "its tasks wait until it is back")
    finally:
        file.close()
