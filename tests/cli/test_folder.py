"""A folder as people have it, through the real command: good files, bad files, and what is paid for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk
from tests.material import pdf, png

GERMAN = "Sehr geehrte Damen und Herren, für den Schaden an der Tür fordere ich 1.200 €. Grüße, Jürgen"
BAD = {
    "empty.txt": "it is empty",
    "huge.txt": "it has 30,000,000 bytes; at most 20,000,000",
    "old/binary.txt": "its content is binary, not text",
    "letter.docx": "files of type .docx are not read; save it as PDF or text",
}


@pytest.fixture
def claims(desk: Desk) -> Path:
    """40 files: 36 good ones (text in three encodings and in subfolders, PDF, PNG, a mail), 4 bad ones."""
    folder = desk.folder / "claims"
    (folder / "old").mkdir(parents=True)
    for n in range(10):
        (folder / f"utf8-{n:02}.txt").write_text(f"{GERMAN} {n}", "utf-8")
        (folder / "old" / f"latin-{n:02}.txt").write_bytes(f"{GERMAN} {n}".encode("cp1252"))
        (folder / f"utf16-{n:02}.md").write_text(f"{GERMAN} {n}", "utf-16")
    (folder / "mail.eml").write_text("From: a@example.com\nSubject: Claim\n\nThe roof leaks.\n")
    (folder / "a.pdf").write_bytes(pdf("The roof leaks"))
    (folder / "b.pdf").write_bytes(pdf("The cellar is wet"))
    (folder / "photo.png").write_bytes(png())
    (folder / "photo2.png").write_bytes(png(64, 64))
    (folder / "page.html").write_text("<p>The roof leaks</p>")
    (folder / "empty.txt").touch()
    (folder / "huge.txt").write_bytes(b"x" * 30_000_000)
    (folder / "old" / "binary.txt").write_bytes(bytes(range(256)) * 20)
    (folder / "letter.docx").write_bytes(b"PK\x03\x04")
    (folder / ".hidden.txt").write_text("not a claim")
    desk.write("ask.j2", "What is claimed in {{ name }}?\n\n{{ text }}")
    return folder


def test_nothing_is_paid_while_a_file_is_bad(
    desk: Desk, simulate: Callable[..., SimulatorProcess], claims: Path
) -> None:
    simulator = simulate()
    done = desk.run("run", "claims", "--prompt", "ask.j2", "--model", "gpt-4o")
    assert done.code == 2
    assert "claims: 4 files cannot be used; nothing was sent" in done.err
    for name, reason in BAD.items():
        assert f"{name}: {reason}" in done.err
    assert simulator.stats()["requests"] == 0
    assert not (desk.folder / "claims.results.jsonl").exists()


def test_the_good_ones_succeed_and_are_paid_once(
    desk: Desk, simulate: Callable[..., SimulatorProcess], claims: Path
) -> None:
    simulator = simulate()
    command = ("run", "claims", "--prompt", "ask.j2", "--model", "gpt-4o", "--on-bad-input", "skip", "--json")
    done = desk.run(*command)
    assert done.code == 1, done.err
    assert done.json["tasks"]["succeeded"] == 36
    assert done.json["bad_input"] == 4
    rows = desk.rows("claims.results.jsonl")
    names = {path.relative_to(claims).as_posix() for path in claims.rglob("*") if path.is_file()}
    assert {row["file"] for row in rows} == names - set(BAD) - {".hidden.txt"}
    assert all(set(row) == {"file", "status", "output", "error", "model", "cost_usd"} for row in rows)
    kept = {row["file"]: row["reason"] for row in desk.rows("claims.bad.jsonl")}
    assert set(kept) == set(BAD)
    for name, reason in BAD.items():
        assert reason in kept[name]
        assert f"{name}: {reason}" in done.err
        assert any(bad["at"] == name and reason in bad["reason"] for bad in done.json["bad_input_first"])
    assert simulator.stats()["completed"] == 36

    again = desk.run(*command)
    assert again.code == 1
    assert again.json["calls"] == 0
    assert simulator.stats()["completed"] == 36
    assert len(desk.rows("claims.results.jsonl")) == 36


def test_several_files_a_spreadsheet_and_a_limit(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    simulator = simulate()
    desk.write("ask.j2", "{{ text }}")
    for name in ("b.txt", "a.txt", "c.md"):
        desk.write(f"in/{name}", name)
    asked = ("--prompt", "ask.j2", "--model", "gpt-4o", "--json")
    assert desk.run("run", "in/b.txt", "in/a.txt", "in/c.md", *asked, "--limit", "2").json["calls"] == 2
    assert {row["file"] for row in desk.rows("in.results.jsonl")} == {"in/a.txt", "in/b.txt"}
    assert desk.run("run", "in/*.*", *asked, "-o", "in.results.jsonl").json["calls"] == 1
    book = openpyxl.Workbook()
    for row in (["Claim no", "text"], [1001, "the roof leaks"], [1002, "=HYPERLINK(1)"]):
        book.active.append(row)
    book.active["B3"].data_type = "s"  # a text that looks like a formula; one that was never reckoned would be empty
    book.save(desk.folder / "claims.xlsx")
    done = desk.run("run", "claims.xlsx", *asked, "-o", "out.csv", "--samples", "2")
    assert done.json["tasks"]["succeeded"] == 4
    head, *rows = (desk.folder / "out.csv").read_text().splitlines()
    assert head == "Claim no,text,status,output,error,model,cost_usd"
    assert sorted(row.partition(",")[0] for row in rows) == ["1001", "1001", "1002", "1002"]
    assert simulator.stats()["completed"] == 7


def test_a_mended_file_leaves_no_old_complaint(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> None:
    simulate()
    desk.write("ask.j2", "{{ text }}")
    desk.write("in/a.txt", "a")
    desk.write("in/b.txt", "")
    command = ("run", "in", "--prompt", "ask.j2", "--model", "gpt-4o", "--on-bad-input", "skip")
    assert desk.run(*command).code == 1
    assert desk.rows("in.bad.jsonl") == [{"file": "b.txt", "reason": "it is empty"}]
    desk.write("in/b.txt", "b")
    assert desk.run(*command).code == 0
    assert not (desk.folder / "in.bad.jsonl").exists()


CONFIG = """
[accounts.main]
[accounts.blind]
provider = "deepseek"
base_url = "{url}"
[models.sees]
account = "main"
id = "gpt-4o"
[models.blind]
account = "blind"
id = "deepseek-chat"
[types.ask]
prompt = "ask.j2"
"""


def test_a_model_without_pdf_gets_the_text_and_none_gets_a_picture_it_cannot_see(
    desk: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    desk.write("laneway.toml", CONFIG.format(url=simulate().url))
    desk.write("ask.j2", "{{ text }}")
    papers = desk.folder / "papers"
    papers.mkdir()
    (papers / "a.pdf").write_bytes(pdf("The roof leaks"))
    (papers / "scan.pdf").write_bytes(pdf())
    (papers / "photo.png").write_bytes(png())
    done = desk.run("run", "papers", "--model", "blind", "--on-bad-input", "skip")
    assert done.code == 1
    assert "photo.png: model blind, pinned by the command: it takes no images" in done.err
    assert "scan.pdf: the model takes no PDF, and this one holds no text" in done.err
    assert [row["file"] for row in desk.rows("papers.results.jsonl")] == ["a.pdf"]
    done = desk.run("run", "papers", "--model", "sees", "--json")
    assert (done.code, done.json["calls"]) == (0, 3)  # the PDF itself is another request than its text
