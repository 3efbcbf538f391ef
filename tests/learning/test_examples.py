"""Tables of examples: what is read, what is left out, and what is said of the rest."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from laneway.errors import InputError
from laneway.learning.examples import LEAST_TEXTS, labelled, read_table


def _written(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def _csv(path: Path, labels: list[str], column: str = "category") -> str:
    return _written(path, f"text,{column}\n" + "".join(f"text {n},{label}\n" for n, label in enumerate(labels)))


TWO = ["a", "b"] * LEAST_TEXTS


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_are_read_packed_or_not(tmp_path: Path, delimiter: str) -> None:
    text = f"text{delimiter}quality:small\nhello{delimiter}1\n"
    packed = _written(tmp_path / "t.csv.gz", gzip.compress(text.encode()))
    plain = _written(tmp_path / "t.csv", text)
    for table in map(read_table, (packed, plain)):
        assert table.rows == [{"text": "hello", "quality:small": "1"}]
        assert table.columns == ["text", "quality:small"]
        assert table.lines == [2]


def test_json_lines_may_have_different_fields(tmp_path: Path) -> None:
    table = read_table(_written(tmp_path / "t.jsonl", '{"text": "a", "x": 1}\n{"text": "b", "y": [2]}\n'))
    assert table.columns == ["text", "x", "y"]
    assert len(table.rows) == 2


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"text,category\n"),
        ("binary.csv", bytes(range(256)) * 20),
        ("binary.jsonl", bytes(range(256)) * 20),
        ("cut.csv.gz", gzip.compress(b"text,label\n" + b"a,b\n" * 9999, mtime=0)[:40]),
        ("not.csv.gz", b"text,label\n"),
        ("list.jsonl", b"[1]\n[2]\n"),
        ("book.xlsx.gz", gzip.compress(b"PK\x03\x04", mtime=0)),
        ("book.xlsx", b"PK\x03\x04"),
        ("nul.csv", b"text,label\na\0,b\n"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_table(_written(tmp_path / name, content))
    assert name in str(caught.value)
    assert caught.value.hint


def test_a_bad_line_among_many_is_left_out_and_counted(tmp_path: Path) -> None:
    table = read_table(_written(tmp_path / "t.jsonl", '{"text": "a"}\n' * 30 + "nonsense\n"))
    assert len(table.rows) == 30
    assert [one.line for one in table.unreadable] == [31]


def test_a_missing_column_is_answered_with_those_there_are(tmp_path: Path) -> None:
    table = read_table(_csv(tmp_path / "t.csv", TWO, "topic"))
    with pytest.raises(InputError, match="category or label") as caught:
        labelled(table, "category")
    assert "--column" in caught.value.hint
    assert "topic" in caught.value.hint
    assert labelled(table, "category", column="topic").classes == ["a", "b"]
    with pytest.raises(InputError, match="no column words"):
        labelled(table, "category", text="words", column="topic")


def test_rows_without_text_or_label_and_rare_labels_are_left_out(tmp_path: Path) -> None:
    table = read_table(_csv(tmp_path / "t.csv", [*TWO, "", "rare", "rare"]))
    examples = labelled(table, "category")
    assert len(examples.texts) == len(TWO)
    assert set(examples.labels) == {"a", "b"}
    assert examples.left_out == {"have no category": 1, f"are of 'rare', which has fewer than {LEAST_TEXTS}": 2}


def test_one_label_is_too_little(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two labels are needed"):
        labelled(read_table(_csv(tmp_path / "t.csv", ["a"] * 50)), "category")


def test_thousands_of_labels_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="different values"):
        labelled(read_table(_csv(tmp_path / "t.csv", [f"label {n}" for n in range(5000)])), "category")
    with pytest.raises(InputError, match="different values"):
        labelled(read_table(_csv(tmp_path / "u.csv", [f"label {n % 2000}" for n in range(12000)])), "category")


def test_urgencies_are_words_or_aliases_in_rising_order(tmp_path: Path) -> None:
    table = read_table(_csv(tmp_path / "t.csv", ["Urgent", "p3", "standard"] * LEAST_TEXTS, "urgency"))
    examples = labelled(table, "urgency", aliases={"p3": "relaxed"})
    assert examples.classes == ["relaxed", "standard", "urgent"]
    with pytest.raises(InputError, match=r"line 3: 'p3' is no urgency"):
        labelled(table, "urgency")


def test_equal_texts_count_once(tmp_path: Path) -> None:
    rows = "text,category\n" + "yes,y\nno,n\n" * 50
    with pytest.raises(InputError, match="different texts"):
        labelled(read_table(_written(tmp_path / "t.csv", rows)), "category")
