"""One JSON document with many tasks, cut into them."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from laneway.config.models import Config
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions
from laneway.intake.reading import open_reading


def request(key: str, said: str = "hello") -> dict[str, object]:
    messages = [{"role": "user", "content": said}]
    return {"custom_id": key, "params": {"model": "claude", "max_tokens": 5, "messages": messages}}


def read(folder: Path, text: str) -> list[Draft | BadLine]:
    path = folder / "in.json"
    path.write_text(text)
    reading = open_reading(str(path), Config(folder=folder), ReadOptions())
    try:
        return list(reading)
    finally:
        reading.close()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_pretty_or_in_one_line(tmp_path: Path, indent: int | None, bom: str) -> None:
    said = ['a "quoted" } text', "a \\ and { and [", "ünï\n", "\\"]
    text = json.dumps({"requests": [request(str(n), one) for n, one in enumerate(said)]}, indent=indent)
    made = read(tmp_path, bom + text)
    assert [(one.key, one.text) for one in made if isinstance(one, Draft)] == [(str(n), s) for n, s in enumerate(said)]
    lines = [text[: text.index(f'"custom_id": "{n}"')].count("\n") for n in range(len(said))]
    assert [one.line for one in made] == [at + (1 if indent is None else 0) for at in lines]


def test_a_bad_request_is_named_by_its_line_and_the_others_go_on(tmp_path: Path) -> None:
    text = json.dumps({"requests": [request("a"), {"custom_id": "b", "params": {}}, request("c")]}, indent=1)
    good, bad, other = read(tmp_path, text)
    assert isinstance(bad, BadLine)
    assert "params.messages is missing" in bad.reason
    assert isinstance(good, Draft)
    assert isinstance(other, Draft)
    assert good.line < bad.line < other.line


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("", "the list breaks off"),
        ("]", "breaks off behind its requests"),
        (', {"custom_id": "b', "breaks off"),
        ('], "more": 1}', "something follows the list of requests"),
        (']} {"requests": []}', "something follows the list"),
    ],
)
def test_a_document_that_does_not_end_well(tmp_path: Path, end: str, reason: str) -> None:
    good, bad = read(tmp_path, '{"requests": [' + json.dumps(request("a")) + end)
    assert isinstance(good, Draft)
    assert isinstance(bad, BadLine)
    assert reason in bad.reason


def test_a_large_one_is_not_held_as_a_whole(tmp_path: Path) -> None:
    """60 MB in one line, of which no part is longer than a request."""
    import tracemalloc

    one = json.dumps(request("k", "x" * 500_000))
    path = tmp_path / "in.json"
    path.write_text('{"requests":[' + ",".join(one.replace('"k"', f'"k{n}"') for n in range(120)) + "]}")
    reading = open_reading(str(path), Config(folder=tmp_path), ReadOptions())
    tracemalloc.start()
    try:
        assert sum(isinstance(draft, Draft) for draft in reading) == 120
        assert tracemalloc.get_traced_memory()[1] < 15_000_000
    finally:
        tracemalloc.stop()
        reading.close()


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_records_or_of_batch_lines(tmp_path: Path, indent: int | None) -> None:
    records = [{"id": n, "text": f"[{n}]"} for n in range(3)]
    (tmp_path / "p.j2").write_text("{{ text }}")
    for suffix in (".json", ".jsonl"):
        path = tmp_path / f"in{suffix}"
        path.write_text(json.dumps(records, indent=indent))
        with closing(
            open_reading(str(path), Config(folder=tmp_path), ReadOptions(prompt=tmp_path / "p.j2"))
        ) as reading:
            assert [draft.text for draft in reading if isinstance(draft, Draft)] == ["[0]", "[1]", "[2]"]
    assert [draft.key for draft in read(tmp_path, json.dumps([request("a")])) if isinstance(draft, Draft)] == ["a"]


def test_one_object_over_many_lines_is_one_record(tmp_path: Path) -> None:
    (tmp_path / "p.j2").write_text("{{ text }}")
    path = tmp_path / "in.json"
    path.write_text(json.dumps({"id": 1, "text": "a"}, indent=2))
    with closing(open_reading(str(path), Config(folder=tmp_path), ReadOptions(prompt=tmp_path / "p.j2"))) as reading:
        assert [draft.key for draft in reading if isinstance(draft, Draft)] == ["1"]
