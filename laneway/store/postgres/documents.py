"""Routes and specs by id, parsed once."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from laneway.store.postgres.connection import Db, rows
from laneway.task import Route, Spec


class Documents:
    """What was read is kept; documents never change. Used by several threads: each thing put in is whole."""

    def __init__(self) -> None:
        self._contents: dict[int, bytes] = {}
        self._specs: dict[int, Spec] = {}
        self._routes: dict[int, Route] = {}

    def read(self, db: Db, numbers: Iterable[int]) -> Documents:
        """Know at least these."""
        if missing := [number for number in set(numbers) if number not in self._contents]:
            found = rows(db, "SELECT id, content FROM laneway.document WHERE id = ANY(%s)", (missing,))
            self._contents.update(found)
        return self

    def forget(self) -> None:
        """What was read in a transaction that came to nothing may never have been there, and its number be given to
        another. While nobody else reads."""
        self._contents, self._specs, self._routes = {}, {}, {}

    def spec(self, number: int) -> Spec:
        """Of one that was read."""
        spec = self._specs.get(number)
        if spec is None:
            spec = self._specs[number] = Spec.from_json(orjson.loads(self._contents[number]))
        return spec

    def route(self, number: int) -> Route:
        """Of one that was read."""
        route = self._routes.get(number)
        if route is None:
            route = self._routes[number] = Route.from_json(orjson.loads(self._contents[number]))
        return route
