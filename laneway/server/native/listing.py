"""Which tasks: by what their list is asked for, and by what many are chosen for a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from laneway.errors import UsageError
from laneway.server.native.forms import FilterForm
from laneway.store.steering import Selector

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def selector_of(lw: Laneway, asked: FilterForm) -> Selector:
    """Raises UsageError for a word that is no urgency."""
    try:
        urgencies = tuple(lw.config.urgency_of(word) for word in asked.urgency)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return Selector(
        ids=None if asked.ids is None else tuple(asked.ids),
        run_id=asked.run,
        states=tuple(asked.state),
        classes=tuple(one.value for one in asked.class_),
        codes=tuple(asked.code),
        types=tuple(asked.type),
        models=tuple(asked.model),
        lanes=tuple(asked.lane),
        urgencies=urgencies,
        tags=tuple(asked.tag),
        keys=tuple(asked.key),
    )


def asked_by(**given: Any) -> FilterForm:
    """Of query parameters, None where one is not given."""
    return FilterForm.model_validate({name: value for name, value in given.items() if value is not None})
