"""Tables as programs and people really write them."""

from __future__ import annotations

import builtins
import csv
import io
import zipfile
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from laneway.errors import InputError
from laneway.intake.draft import BadLine
from laneway.intake.reading import rows
from laneway.intake.source import Source
from laneway.intake.tables import Row

GERMAN = "Größe der Tür: 2 m, 50 €"


def read(folder: Path, raw: bytes | str, name: str = "in.csv") -> list[Row | BadLine]:
    (folder / name).write_bytes(raw.encode() if isinstance(raw, str) else raw)
    with closing(Source(str(folder / name))) as source:
        return list(rows(source))


def records(folder: Path, raw: bytes | str, name: str = "in.csv") -> list[dict[str, Any]]:
    made = read(folder, raw, name)
    assert not any(isinstance(row, BadLine) for row in made), made
    return [row[2] for row in made if not isinstance(row, BadLine)]


def written(table: Sequence[Sequence[str]], **style: Any) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, **style).writerows(table)
    return buffer.getvalue()


class TestCsv:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_quotes_newlines_and_line_numbers(self, tmp_path: Path, delimiter: str) -> None:
        text = written([["id", "text"], ["1", 'he said "no"\nand; left, at|once'], ["2", "ü"]], delimiter=delimiter)
        one, two = read(tmp_path, "\ufeff" + text)
        assert not isinstance(one, BadLine)
        assert not isinstance(two, BadLine)
        assert (one[0], one[2]) == (2, {"id": "1", "text": 'he said "no"\nand; left, at|once'})
        assert (two[0], two[2]) == (4, {"id": "2", "text": "ü"})

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-16-le"])
    def test_encodings(self, tmp_path: Path, encoding: str) -> None:
        text = written([["id", "text"], *([str(n), GERMAN] for n in range(20))], delimiter=";")
        assert records(tmp_path, text.encode(encoding))[19] == {"id": "19", "text": GERMAN}

    def test_what_is_not_utf8_may_come_late(self, tmp_path: Path) -> None:
        text = written([["id", "text"], *([str(n), "plain"] for n in range(100_000)), ["x", GERMAN]])
        assert records(tmp_path, text.encode("cp1252"))[-1] == {"id": "x", "text": GERMAN}

    def test_few_words_among_many_plain_ones_are_enough(self, tmp_path: Path) -> None:
        text = "id,text\n" + "1,plain\n" * 20_000 + "2,Größe\n3,50 €\n"
        assert [record["text"] for record in records(tmp_path, text.encode("cp1252"))[-2:]] == ["Größe", "50 €"]

    @pytest.mark.parametrize(
        ("text", "record"),
        [
            ('id;text\n1;"a, b, c, d"\n2;"e, f"\n', {"id": "1", "text": "a, b, c, d"}),
            ('"a;b;c;d";"id"\n"x;y";1\n', {"a;b;c;d": "x;y", "id": "1"}),
            ('text,n\n"one;two;three\nfour;five",2\n', {"text": "one;two;three\nfour;five", "n": "2"}),
            ("id,note; old; new\n1,hello\n2,you\n", {"id": "1", "note; old; new": "hello"}),
            ("text\njust, some; words\n", None),
            ("text\nhello\n", {"text": "hello"}),
            ("sep=;\nid;text\n1;a,b\n", {"id": "1", "text": "a,b"}),
        ],
    )
    def test_the_delimiter_is_not_guessed_from_what_is_quoted(
        self, tmp_path: Path, text: str, record: dict[str, str] | None
    ) -> None:
        made = read(tmp_path, text)
        if record is None:
            assert isinstance(made[0], BadLine)
        else:
            assert not isinstance(made[0], BadLine)
            assert made[0][2] == record

    def test_what_excel_leaves_behind(self, tmp_path: Path) -> None:
        assert records(tmp_path, ";;\nid;text;;\n1;a;;\n;;;\n2;b;;\n") == [
            {"id": "1", "text": "a"},
            {"id": "2", "text": "b"},
        ]

    def test_rows_that_do_not_fit_the_header(self, tmp_path: Path) -> None:
        made = read(tmp_path, "id,text,\n1,a,\n2,b,c\n3,d,,e\n4\n")
        assert [(bad.line, bad.reason) for bad in made if isinstance(bad, BadLine)] == [
            (3, "'c' stands in a column without a name"),
            (4, "4 cells under a header of 3"),
            (5, "1 cells under a header of 3"),
        ]

    @pytest.mark.parametrize(
        ("raw", "words"),
        [
            (b"id,id\n1,2\n", "'id' twice"),
            (b"\n \n", "no header"),
            (b"id,text\n1," + b"\x80\x81\x8d\x8f\x90\x9d" * 30, "neither UTF-8 nor"),
            (b"PK\x03\x04", "ZIP archive"),
            (b'id,text\n1,"a\n', "check the quotes|line"),
        ],
    )
    def test_tables_that_cannot_be_read(self, tmp_path: Path, raw: bytes, words: str) -> None:
        with pytest.raises(InputError, match=words):
            read(tmp_path, raw)


def workbook(folder: Path, *sheets: Sequence[Sequence[Any]], hidden: int | None = None, offset: int = 0) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.remove(book.active)
    for number, table in enumerate(sheets):
        sheet = book.create_sheet(f"s{number}")
        sheet.sheet_state = "hidden" if number == hidden else "visible"
        for row, cells in enumerate(table, 1 + offset):
            for column, cell in enumerate(cells, 1):
                sheet.cell(row, column, cell)
    book.save(folder / "made.xlsx")
    return (folder / "made.xlsx").read_bytes()


class TestSheets:
    def test_values(self, tmp_path: Path) -> None:
        table: list[list[Any]] = [
            ["id", "text", "amount", "day", "at", "clock", "done", None],
            [7, "a\nb", 1.5, datetime(2026, 3, 1), datetime(2026, 3, 1, 9, 30), time(9, 30), True, None],
            [None] * 8,
            ["x-8", "", 3.0, date(2026, 3, 2), None, None, False, None],
        ]
        one, two = records(tmp_path, workbook(tmp_path, table), "in.xlsx")
        assert one == {
            "id": 7,
            "text": "a\nb",
            "amount": 1.5,
            "day": "2026-03-01",
            "at": "2026-03-01T09:30:00",
            "clock": "09:30:00",
            "done": True,
        }
        assert isinstance(one["id"], int)
        assert two["amount"] == 3
        assert (two["id"], two["text"], two["day"], two["at"]) == ("x-8", "", "2026-03-02", "")

    def test_the_first_visible_sheet_with_content_and_its_row_numbers(self, tmp_path: Path) -> None:
        raw = workbook(tmp_path, [[]], [["no"], ["n"]], [["id"], ["a"], ["b"]], hidden=1, offset=3)
        made = read(tmp_path, raw, "in.xlsx")
        assert [(row[0], row[2]) for row in made if not isinstance(row, BadLine)] == [
            (5, {"id": "a"}),
            (6, {"id": "b"}),
        ]

    @pytest.mark.parametrize("raw", [b"hello", b"PK\x03\x04 no zip"])
    def test_what_is_no_spreadsheet(self, tmp_path: Path, raw: bytes) -> None:
        with pytest.raises(InputError, match="cannot be read as a spreadsheet"):
            read(tmp_path, raw, "in.xlsx")

    def test_one_that_unpacks_without_end(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "in.xlsx", "w") as archive:
            archive.writestr("xl/worksheets/sheet1.xml", "x")
        raw = (tmp_path / "in.xlsx").read_bytes()
        at = raw.index(b"PK\x01\x02") + 24  # the directory's word on the unpacked size
        with pytest.raises(InputError, match="too many for a spreadsheet"):
            read(tmp_path, raw[:at] + b"\xff\xff\xff\xfe" + raw[at + 4 :], "in.xlsx")

    def test_without_the_extra_it_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        known = builtins.__import__

        def missing(name: str, *arguments: Any, **more: Any) -> Any:
            if name == "python_calamine":
                raise ImportError(name)
            return known(name, *arguments, **more)

        raw = workbook(tmp_path, [["id"], [1]])
        monkeypatch.setattr(builtins, "__import__", missing)
        with pytest.raises(InputError, match="python-calamine is needed") as caught:
            read(tmp_path, raw, "in.xlsx")
        assert "pip install 'laneway[xlsx]'" in caught.value.hint


def test_powershells_unicode(tmp_path: Path) -> None:
    assert records(tmp_path, '{"id": "ü"}\n{"id": "b"}\n'.encode("utf-16"), "in.jsonl") == [{"id": "ü"}, {"id": "b"}]
    with pytest.raises(InputError, match="begins as UTF-16 and is not"):
        read(tmp_path, b"\xff\xfeabc", "in.jsonl")
