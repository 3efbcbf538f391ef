"""A store whose content went elsewhere (``store/moving.py``): it says so, and takes nothing new."""

from __future__ import annotations

from laneway.errors import StoreError

STATE = "moved_to"  # the name under which a store keeps where it went
REFUSAL = "this Laneway store was moved"

# Also for processes that have it open, and for releases that know nothing of moves. They stay, and do nothing once the
# row is gone.
GUARDS = tuple(
    f"CREATE TRIGGER IF NOT EXISTS moved_{table}_{verb.lower()} BEFORE {verb} ON {table}"
    f" WHEN EXISTS (SELECT 1 FROM state WHERE name = '{STATE}') BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
    for table, verb in (("worker", "INSERT"), ("task", "INSERT"), ("task", "UPDATE"), ("run", "INSERT"))
)


def moved(path: object, to: str | None = None) -> StoreError:
    """What to say to who opens it. ``to``: the URL of the store that has its content now."""
    return StoreError(
        f"the store {path} was moved" + (f" to {to}" if to else ""),
        hint=f"give --store {to or 'postgresql://…'} or set LANEWAY_STORE to it; docs/scale.md says how to go back",
    )
