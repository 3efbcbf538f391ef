"""Whose: a team's, everybody's who is in none (None), or of all of them together."""

from __future__ import annotations

from enum import Enum
from typing import Literal


class Everyone(Enum):
    ALL = "all"


ALL: Literal[Everyone.ALL] = Everyone.ALL
OfTeam = str | Everyone | None
