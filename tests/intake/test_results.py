"""The results file: right after any crash, and safe to open."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.errors import ConflictError, InputError
from laneway.intake.results import ResultsWriter, check_out, default_out, errors_file
from laneway.intake.shapes import _cell, shape_for
from laneway.store.runs import Run
from laneway.store.sqlite import SQLiteStore
from laneway.task import State
from tests.store.helpers import LEASE, NOW, claim, finish, new, run_with

ANSWER = orjson.dumps({"choices": [{"message": {"content": "=1+1"}}]})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "s.db", inline=True)
    await store.join("w", LEASE, NOW)
    yield store
    await store.close()


async def five(store: SQLiteStore) -> Run:
    return await run_with(
        store, [new(str(i), str(i), NOW + i, record=orjson.dumps({"id": i, "text": "x"})) for i in range(5)]
    )


def writer(store: SQLiteStore, run: Run, out: Path, kind: str = "records") -> ResultsWriter:
    return ResultsWriter(store, out, shape_for(out, kind, lambda: ["id", "text"]))


def ids(out: Path) -> list[int]:
    return [json.loads(row)["id"] for row in out.read_text().splitlines()]


async def test_results_are_appended_as_they_settle(store: SQLiteStore, tmp_path: Path) -> None:
    run, out = await five(store), tmp_path / "out.jsonl"
    with writer(store, run, out) as results:
        await results.begin(run)
        await finish(store, await claim(store, n=2), output=ANSWER)
        assert await results.pump() == 2
        assert ids(out) == [0, 1]
        await finish(store, await claim(store), output=ANSWER)
        await results.finish()
    assert ids(out) == [0, 1, 2, 3, 4]
    row = json.loads(out.read_text().splitlines()[0])
    assert row == {
        "id": 0,
        "text": "x",
        "status": "succeeded",
        "output": "=1+1",
        "error": None,
        "model": "small",
        "cost_usd": 0.01,
    }


async def test_a_crash_between_writing_and_remembering_duplicates_nothing(store: SQLiteStore, tmp_path: Path) -> None:
    run, out = await five(store), tmp_path / "out.jsonl"
    with writer(store, run, out) as results:
        await results.begin(run)
        await finish(store, await claim(store, n=2), output=ANSWER)
        await results.pump()
        results._append(b'{"id": 2, half a line' * 100)  # written, not remembered
    await finish(store, await claim(store), output=ANSWER)
    run = await store.get_run(run.id)
    with writer(store, run, out) as results:
        await results.begin(run)
        await results.finish()
    assert ids(out) == [0, 1, 2, 3, 4]


async def test_an_out_that_lost_its_end_is_written_anew(store: SQLiteStore, tmp_path: Path) -> None:
    run, out = await five(store), tmp_path / "out.jsonl"
    await finish(store, await claim(store), output=ANSWER)
    for _ in range(2):
        run = await store.get_run(run.id)
        with writer(store, run, out) as results:
            await results.begin(run)
            await results.finish()
        assert ids(out) == [0, 1, 2, 3, 4]
        out.write_text("")


async def test_failures_go_to_a_file_of_their_own_and_leave_it_when_mended(store: SQLiteStore, tmp_path: Path) -> None:
    run, out = await five(store), tmp_path / "out.jsonl"
    tasks = await claim(store)
    await finish(store, tasks[:3], output=ANSWER)
    await finish(store, tasks[3:], State.FAILED)
    with writer(store, run, out) as results:
        await results.begin(run)
        await results.finish()
    failed = [json.loads(row) for row in errors_file(out).read_text().splitlines()]
    assert [(row["id"], row["status"], row["error"]) for row in failed] == [
        (3, "failed", "request: no good"),
        (4, "failed", "request: no good"),
    ]
    await store.retry([task.id for task in tasks[3:]], NOW)
    await finish(store, await claim(store), output=ANSWER)
    run = await store.get_run(run.id)
    with writer(store, run, out) as results:
        await results.begin(run)
        await results.finish()
    assert not errors_file(out).exists()
    assert sorted(ids(out)) == [0, 1, 2, 3, 4]


async def test_tables_have_a_header_and_harmless_cells(store: SQLiteStore, tmp_path: Path) -> None:
    run, out = await five(store), tmp_path / "out.csv"
    await finish(store, await claim(store), output=ANSWER)
    with writer(store, run, out) as results:
        await results.begin(run)
        await results.finish()
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert list(rows[0]) == ["id", "text", "status", "output", "error", "model", "cost_usd"]
    assert len(rows) == 5
    assert rows[0]["output"] == "'=1+1"


FORMULA = "=+-@\t\r\uff1d\uff0b\uff0d\uff20"


@given(st.text(max_size=30) | st.builds(str.__add__, st.sampled_from([*FORMULA, " =", "\n+"]), st.text(max_size=9)))
def test_no_cell_is_a_formula(text: str) -> None:
    cell = _cell(text)
    assert cell in (text, "'" + text)
    if cell.lstrip()[:1] in tuple(FORMULA):
        float(cell.rstrip("%").replace(",", "").replace(".", "", cell.count(".") - 1))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), (" =1", "' =1"),
        ("\uff1d1", "'\uff1d1"), ("-1\n", "'-1\n"), ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("-1.5", "-1.5"), ("+10%", "+10%"), ("1,000", "1,000"), (-1e-9, "-1e-9"), (True, "true"), (["=1"], '["=1"]'),
        ('"=1"', '"=1"'), (None, ""),
    ],
)  # fmt: skip
def test_cells(value: object, cell: str) -> None:
    assert _cell(value) == cell


def test_a_column_s_name_is_no_formula_either(tmp_path: Path) -> None:
    assert shape_for(tmp_path / "o.csv", "records", lambda: ["=cmd", "a"]).head().startswith(b"'=cmd,a,status")


def test_two_runs_cannot_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    shape = shape_for(out, "records", list)
    with ResultsWriter(None, out, shape), pytest.raises(ConflictError, match="another run writes"):  # type: ignore[arg-type]
        ResultsWriter(None, out, shape).__enter__()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p: p / "out.txt", "neither .jsonl nor .csv"),
        (lambda p: p / "none" / "out.jsonl", "there is no folder"),
        (lambda p: p / "dir.jsonl", "is a folder"),
        (lambda p: p / "file" / "out.jsonl", "there is no folder"),
    ],
)
def test_an_out_that_cannot_be_is_found_first(tmp_path: Path, make, words: str) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "dir.jsonl").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=words):
        check_out(make(tmp_path), known=False, fresh=False)


def test_somebody_elses_results_are_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("precious\n")
    with pytest.raises(ConflictError, match="knows nothing of it"):
        check_out(out, known=False, fresh=False)
    check_out(out, known=True, fresh=False)
    check_out(out, known=False, fresh=True)
    assert out.read_text() == "precious\n"


def test_default_names() -> None:
    assert default_out("a/tasks.jsonl") == Path("a/tasks.results.jsonl")
    assert default_out("-") == Path("stdin.results.jsonl")
