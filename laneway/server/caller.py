"""Who asks. Every endpoint takes its caller from here, and nothing else decides whose work something is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends


@dataclass(frozen=True, slots=True)
class Caller:
    """``team``: whose tasks, files and batches these are; None: of whoever uses this server."""

    team: str | None = None

    def may_see(self, team: str | None) -> bool:
        return team == self.team


async def caller() -> Caller:  # FastAPI would ask a plain function on a thread
    """With one token for all, everybody is the same caller; the guard has seen the token by now."""
    return Caller()


Asking = Annotated[Caller, Depends(caller)]
