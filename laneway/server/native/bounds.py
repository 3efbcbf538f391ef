"""What every parameter is bounded by. NUL is in no text: PostgreSQL keeps none."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import orjson
from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from laneway.intake.records import LONGEST_KEY
from laneway.task import FailureClass, State

MOST_BULK = 10_000  # tasks in one request
MOST_LINES = 200  # of a list's page
LARGEST_PAGE = 240_000  # bytes of a list's page: what is longer ends earlier, with a cursor
LONGEST_MESSAGE = 500  # characters of an error in a list
LONGEST_WAIT_S = 300.0
LATEST = 4_102_444_800.0  # the year 2100: nobody means more
NO_NUL = r"^[^\x00]*$"

Text = Annotated[str, StringConstraints(max_length=1_000_000, pattern=NO_NUL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
Key = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_KEY, pattern=NO_NUL)]
Note = Annotated[str, StringConstraints(max_length=2_000, pattern=NO_NUL)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000)]
Moment = Annotated[float, Field(ge=0, le=LATEST)] | AwareDatetime
Number = Annotated[int, Field(ge=1, le=2**53)]  # of tasks and runs: what JavaScript can count to


def when(moment: float | datetime.datetime | None) -> float | None:
    """In seconds since 1970."""
    return moment.timestamp() if isinstance(moment, datetime.datetime) else moment


def _writable(value: Any) -> Any:
    try:
        orjson.dumps(value)
    except TypeError as error:  # nested too deeply
        raise ValueError(str(error)) from None
    return value


Content = Annotated[Any, AfterValidator(_writable)]
Fields = Annotated[dict[str, Any], Field(max_length=1_000), AfterValidator(_writable)]

RefPath = Annotated[str, Path(min_length=1, max_length=LONGEST_KEY, pattern=NO_NUL, description="A task's id or key.")]
NamePath = Annotated[str, Path(min_length=1, max_length=200, pattern=NO_NUL)]
NumberPath = Annotated[int, Path(ge=1, le=2**53)]
Limit = Annotated[int, Query(ge=1, le=MOST_LINES, description="How many at most; a page may hold fewer.")]
Cursor = Annotated[int | None, Query(ge=0, le=2**53, description="`next` of the page before.")]

Names = Annotated[list[Name] | None, Query(max_length=50)]
Keys = Annotated[list[Key] | None, Query(max_length=50, description="With * and ? as in file names.")]
States = Annotated[list[State] | None, Query(max_length=10)]
Classes = Annotated[list[FailureClass] | None, Query(max_length=10)]
