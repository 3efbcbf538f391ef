"""Tables, a task a row under a line of names: CSV as programs really write it, and spreadsheets."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import orjson

from laneway.errors import InputError
from laneway.intake.draft import BadLine
from laneway.intake.encoding import NotText, encoding_of
from laneway.intake.source import Source

TEXTS = (".csv", ".tsv")
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
TABLES = (*TEXTS, *SHEETS)
DELIMITERS = ",;\t|"
LOOKED_AT = 50  # rows that the delimiter is judged by
LARGEST_SHEET = 100_000_000  # bytes
LARGEST_UNPACKED = 2_000_000_000

Row = tuple[int, bytes, dict[str, Any]]  # (line, as it stood there, record)


def table_rows(source: Source) -> Iterator[Row | BadLine]:
    """The rows of a table. Raises InputError when it cannot be read or its header is not sound."""
    return _records(source.name, _sheet(source) if source.suffix in SHEETS else _csv(source))


def _records(name: str, rows: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[Row | BadLine]:
    """Rows under the first that holds anything. Empty rows are passed over, columns without name and content too."""
    filled = ((line, cells) for line, cells in rows if any(cell not in ("", None) for cell in cells))
    _, header = next(filled, (0, ()))
    names = [str(cell).strip().removeprefix("\ufeff") for cell in header]
    twice = [one for one, n in Counter(names).items() if n > 1 and one]
    if twice or not any(names):
        raise InputError(
            f"{name}: its header has {twice[0]!r} twice" if twice else f"{name}: it has no header",
            hint="give every column a name of its own in the first line",
        )
    for line, cells in filled:
        yield _record(names, line, cells)


def _record(names: Sequence[str], line: int, cells: Sequence[Any]) -> Row | BadLine:
    raw = orjson.dumps(list(cells))
    more = [cell for cell in cells[len(names) :] if cell not in ("", None)]
    if more or len(cells) < len(names):
        return BadLine(line, f"{len(cells)} cells under a header of {len(names)}", raw)
    nameless = [str(cell) for name, cell in zip(names, cells, strict=False) if not name and cell not in ("", None)]
    if nameless:
        return BadLine(line, f"{nameless[0][:40]!r} stands in a column without a name", raw)
    return line, raw, {name: cell for name, cell in zip(names, cells, strict=False) if name}


# CSV ------------------------------------------------------------------------------------------------------------------
def _csv(source: Source) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(2**31 - 1)
    try:
        encoding = encoding_of(source.pieces)
    except NotText as error:
        raise InputError(f"{source.name}: {error}", hint='save the table as "CSV UTF-8" and run again') from None
    with source.text(encoding) as text:
        delimiter = _delimiter(text)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        begins = 1
        try:
            for number, cells in enumerate(reader):
                if number or not _names_delimiter(cells, delimiter):
                    yield begins, cells
                begins = reader.line_num + 1
        except csv.Error as error:
            raise InputError(
                f"{source.name}, line {reader.line_num}: {error}", hint="check the quotes near that line"
            ) from None


def _delimiter(text: Any) -> str:
    """The delimiter under which the first rows are most alike: quoted text is read as such, so that what stands in it
    does not count. Leaves ``text`` at its beginning."""
    lines = list(itertools.islice(text, LOOKED_AT))
    text.seek(0)
    if lines and lines[0].strip().casefold().startswith("sep=") and len(lines[0].strip()) == 5:
        return str(lines[0].strip()[4])  # Excel's own way of saying it
    best, chosen = (0.0, 0), ","
    for delimiter in DELIMITERS:
        widths = []
        try:
            widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter) if cells]
        except csv.Error:
            continue
        if not widths or widths[0] == 1:
            continue
        alike = sum(width == widths[0] for width in widths) / len(widths)
        if (alike, widths[0]) > best:
            best, chosen = (alike, widths[0]), delimiter
    return chosen


def _names_delimiter(cells: Sequence[str], delimiter: str) -> bool:
    return delimiter.join(cells).strip().casefold() == f"sep={delimiter}"


# spreadsheets ---------------------------------------------------------------------------------------------------------
def _sheet(source: Source) -> Iterator[tuple[int, list[Any]]]:
    """The first visible sheet with anything in it. Dates become ISO 8601 texts, whole numbers whole numbers."""
    try:
        import python_calamine
    except ImportError:
        raise InputError(
            f"{source.name}: to read spreadsheets python-calamine is needed",
            hint="pip install 'laneway[xlsx]', or save it as CSV",
        ) from None
    assert source.path is not None
    _check_size(source)
    try:
        with python_calamine.load_workbook(str(source.path)) as book:
            for about in book.sheets_metadata:
                if about.visible is not python_calamine.SheetVisibleEnum.Visible:
                    continue
                sheet = book.get_sheet_by_name(about.name)
                if sheet.start is None:
                    continue
                for number, cells in enumerate(sheet.iter_rows(), 1):
                    yield number, [_value(cell) for cell in cells]
                return
    except python_calamine.PasswordError:
        raise InputError(f"{source.name} is locked with a password", hint="save it without one") from None
    except (python_calamine.CalamineError, OSError) as error:
        raise InputError(
            f"{source.name} cannot be read as a spreadsheet: {error}", hint="open it, save it anew, or save it as CSV"
        ) from None


def _check_size(source: Source) -> None:
    import zipfile

    assert source.path is not None
    size = source.path.stat().st_size
    if zipfile.is_zipfile(source.path):
        with zipfile.ZipFile(source.path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    else:
        unpacked = size
    if size > LARGEST_SHEET or unpacked > LARGEST_UNPACKED:
        raise InputError(
            f"{source.name}: {size:,} bytes ({unpacked:,} unpacked) are too many for a spreadsheet",
            hint="save it as CSV: that is read row by row",
        )


def _value(cell: Any) -> Any:
    match cell:
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return int(cell)
        case datetime():
            return (cell.date() if cell.time() == time() else cell).isoformat()
        case date() | time():
            return cell.isoformat()
        case timedelta():
            return str(cell)
        case _:
            return cell
