"""How far into each queue cell is looked: further where one gives all that is seen of it."""

from __future__ import annotations

from collections.abc import Mapping

PEEK_DEPTH = 16  # tasks that are looked at of each cell; more of one that gives all of these


class Depths:
    def __init__(self, most: int) -> None:
        """``most``: that can be started in one round."""
        self._most = most
        self.deeper: dict[int, int] = {}  # by cell: look at more than usual

    def learn(self, given: Mapping[int, int | None], cut: int | None) -> None:
        """``given``: by cell that was looked at, how much was started of it. ``cut``: the one that gave all that was
        seen of it and has more; less deep again where one gave far less."""
        depths = {cell_id: self.deeper[cell_id] for cell_id in given if cell_id in self.deeper}
        for cell_id in depths:
            if cell_id != cut and 4 * (given[cell_id] or PEEK_DEPTH) < depths[cell_id]:
                depths[cell_id] //= 2
        if cut is not None:
            depths[cut] = min(2 * depths.get(cut, PEEK_DEPTH), self._most)
        self.deeper = {cell_id: depth for cell_id, depth in depths.items() if depth > PEEK_DEPTH}
