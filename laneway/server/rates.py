"""So many a minute, for each of many who ask."""

from __future__ import annotations

MOST_KNOWN = 10_000


class Rates:
    """Each has a bucket of a minute's worth, which fills evenly."""

    def __init__(self, per_minute: float) -> None:
        self._most = max(1.0, per_minute)
        self._per_second = per_minute / 60
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, name: str, now: float) -> float:
        """0.0: it may, and has taken one; else after how many seconds it may."""
        level = self._level(name, now)
        if level < 1:
            return (1 - level) / self._per_second
        self._keep(name, level - 1, now)
        return 0.0

    def wait(self, name: str, now: float) -> float:
        """The same without taking one."""
        return max(0.0, 1 - self._level(name, now)) / self._per_second

    def _level(self, name: str, now: float) -> float:
        level, at = self._levels.get(name, (self._most, now))
        return min(self._most, level + (now - at) * self._per_second)

    def _keep(self, name: str, level: float, now: float) -> None:
        if name not in self._levels and len(self._levels) >= MOST_KNOWN:
            full = [one for one in self._levels if self._level(one, now) >= self._most]
            for one in full or list(self._levels)[: MOST_KNOWN // 10]:
                del self._levels[one]
        self._levels[name] = (level, now)
