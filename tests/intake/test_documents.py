"""Files as tasks: what goes into the request, and why a file cannot be used."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.errors import InputError
from laneway.intake.draft import BadLine, Draft
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading
from laneway.intake.results import default_out
from tests.material import pdf, png


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ask.j2").write_text("About {{ name }}: {{ text }}")
    (tmp_path / "in").mkdir()
    return tmp_path


def opened(folder: Path, *arguments: str, conf: Config | None = None, **options: Any) -> Reading:
    given = {"prompt": Path("ask.j2"), **options}
    return open_reading(arguments[0], conf or Config(folder=folder), ReadOptions(**given, also=arguments[1:]))


def read(folder: Path, *arguments: str, conf: Config | None = None, **options: Any) -> list[Draft | BadLine]:
    with closing(opened(folder, *(arguments or ("in",)), conf=conf, **options)) as reading:
        return list(reading)


def content(draft: Draft | BadLine) -> Any:
    assert isinstance(draft, Draft), draft
    return json.loads(draft.body)["messages"][-1]["content"]


def keys(made: list[Draft | BadLine]) -> list[str]:
    return [draft.key for draft in made if isinstance(draft, Draft)]


class TestRequests:
    def test_a_text_stands_in_the_prompt(self, folder: Path) -> None:
        (folder / "in" / "a.txt").write_text("the roof leaks")
        reading = opened(folder, "in")
        (draft,) = reading
        assert content(draft) == "About a.txt: the roof leaks"
        assert isinstance(draft, Draft)
        assert (draft.key, draft.text, draft.record) == ("a.txt", "the roof leaks", b'{"file":"a.txt"}')
        assert (reading.kind, reading.columns) == (Kind.RECORDS, ["file"])

    def test_a_text_that_the_prompt_does_not_mention_stands_behind_it(self, folder: Path) -> None:
        (folder / "q.j2").write_text("Is this a complaint?")
        (folder / "r.j2").write_text("{% include 'ask.j2' %}!")
        (folder / "in" / "a.txt").write_text("the roof leaks")
        assert content(read(folder, prompt=Path("q.j2"))[0]) == "Is this a complaint?\n\nthe roof leaks"
        assert content(read(folder, prompt=Path("r.j2"))[0]) == "About a.txt: the roof leaks!"

    def test_pdf_and_images_stand_before_the_prompt(self, folder: Path) -> None:
        (folder / "in" / "a.pdf").write_bytes(pdf("x"))
        (folder / "in" / "b.PNG").write_bytes(png())
        (folder / "in" / "c.png").write_bytes(b"\xff\xd8\xff\xe0 a JPEG by another name")
        paper, picture, other = read(folder)
        assert isinstance(paper, Draft)
        assert isinstance(picture, Draft)
        assert (set(paper.attachments), set(picture.attachments)) == ({"pdf"}, {"image"})
        file, text = content(paper)
        assert (file["type"], file["file"]["filename"]) == ("file", "a.pdf")
        assert base64.b64decode(file["file"]["file_data"].removeprefix("data:application/pdf;base64,")) == pdf("x")
        assert text == {"type": "text", "text": "About a.pdf: "}
        assert content(picture)[0]["image_url"]["url"].startswith("data:image/png;base64,")
        assert content(other)[0]["image_url"]["url"].startswith("data:image/jpeg;base64,")
        assert picture.input_tokens > 400

    def test_the_only_type_of_the_config_is_enough(self, folder: Path) -> None:
        (folder / "s.j2").write_text("You judge claims.")
        (folder / "in" / "a.pdf").write_bytes(pdf("x"))
        types = {"judge": {"system": "s.j2"}}
        (draft,) = read(folder, conf=Config.model_validate({"types": types, "folder": folder}), prompt=None)
        assert isinstance(draft, Draft)
        assert draft.spec.type == "judge"
        assert [part["type"] for part in content(draft)] == ["file"]

    @pytest.mark.parametrize(
        ("types", "words"), [([], "files need a task type"), (["a", "b"], "which task type is it")]
    )
    def test_without_one_type_it_is_asked_for(self, folder: Path, types: list[str], words: str) -> None:
        (folder / "in" / "a.txt").write_text("x")
        conf = Config.model_validate({"types": {name: {"prompt": "ask.j2"} for name in types}, "folder": folder})
        with pytest.raises(InputError, match=words) as caught:
            read(folder, conf=conf, prompt=None)
        assert "--type NAME" in caught.value.hint

    def test_samples_and_limit(self, folder: Path) -> None:
        for name in ("a.txt", "b.txt", "c.txt"):
            (folder / "in" / name).write_text("x")
        (folder / "in" / "a0.txt").touch()
        made = read(folder, samples=2, limit=2)
        assert keys(made) == ["a.txt#1", "a.txt#2", "b.txt#1", "b.txt#2"]

    def test_a_mail_is_decoded(self, folder: Path) -> None:
        raw = (
            "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\nSubject: Roof\nX-Spam: no\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nf=FCr mich"
        )
        (folder / "in" / "a.eml").write_text(raw)
        said = content(read(folder)[0])
        assert said == "About a.eml: From: Jürgen <j@example.com>\nSubject: Roof\n\nfür mich"


class TestPlaces:
    def files(self, folder: Path, *names: str) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")

    def test_a_folder_in_order_without_what_is_hidden_or_ours(self, folder: Path) -> None:
        self.files(folder, "in/b.txt", "in/a/z.txt", "in/.git/x.txt", "in/.x.txt", "in/~$b.txt", "in/desktop.ini")
        self.files(folder, "in/out.csv", "in/x.results.jsonl", "in/in.bad.jsonl", "in/x.errors.jsonl")
        made = read(folder, passed_over=(folder / "in" / "out.csv",))
        assert (keys(made), len(made)) == (["a/z.txt", "b.txt"], 2)

    def test_config_and_templates_are_no_tasks(self, folder: Path) -> None:
        self.files(folder, "a.txt", "laneway.toml", "models.toml")
        conf = Config.model_validate({"folder": folder, "sources": (folder / "models.toml",)})
        assert keys(read(folder, ".", conf=conf)) == ["a.txt"]

    def test_patterns(self, folder: Path) -> None:
        self.files(folder, "in/a.txt", "in/b.md", "in/sub/c.txt")
        assert keys(read(folder, "in/*.txt")) == ["a.txt"]  # one file is that file
        assert keys(read(folder, "in/?.*")) == ["in/a.txt", "in/b.md"]
        assert keys(read(folder, "in/**/*.txt")) == ["in/a.txt", "in/sub/c.txt"]
        with pytest.raises(InputError, match="nothing matches"):
            read(folder, "in/*.pdf")

    def test_a_pattern_of_one_table_is_that_table(self, folder: Path) -> None:
        (folder / "in" / "a.csv").write_text("id,name,text\n7,n,x\n")
        assert keys(read(folder, "in/*.csv")) == ["7"]

    def test_several_names_as_a_shell_makes_of_a_pattern(self, folder: Path) -> None:
        self.files(folder, "in/a.txt", "in/b.txt", "more/c.txt")
        made = read(folder, "in/b.txt", "in/a.txt", "more", "in/gone.txt")
        assert keys(made) == ["in/a.txt", "in/b.txt", "more/c.txt"]
        assert [(bad.file, bad.reason) for bad in made if isinstance(bad, BadLine)] == [
            ("in/gone.txt", "it cannot be read: No such file or directory")
        ]

    @pytest.mark.parametrize("name", ["a.pdf", "a.png", "a.md", "a.txt"])
    def test_one_document_is_one_task(self, folder: Path, name: str) -> None:
        (folder / "in" / name).write_bytes({"pdf": pdf("x"), "png": png()}.get(name[2:], b"hello"))
        assert keys(read(folder, f"in/{name}")) == [name]

    def test_json_lines_may_be_called_txt(self, folder: Path) -> None:
        (folder / "in" / "a.txt").write_text('{"id": 1, "name": "n", "text": "x"}\n{"id": 2, "name": "n", "text": "x"}')
        assert keys(read(folder, "in/a.txt")) == ["1", "2"]

    def test_an_empty_folder(self, folder: Path) -> None:
        with pytest.raises(InputError, match="in holds no files"):
            read(folder)

    @pytest.mark.parametrize(
        ("arguments", "out"),
        [
            (["in"], "in.results.jsonl"),
            (["in/"], "in.results.jsonl"),
            (["in/*.pdf"], "in-pdf.results.jsonl"),
            (["in/**/*.pdf"], "in-pdf.results.jsonl"),
            (["in/a.pdf"], "in/a.results.jsonl"),
            (["-"], "stdin.results.jsonl"),
        ],
    )
    def test_where_results_go(self, folder: Path, arguments: list[str], out: str) -> None:
        assert default_out(arguments[0], arguments[1:]) == Path(out)

    def test_where_results_of_the_current_folder_go(self, folder: Path) -> None:
        for arguments in (["."], ["*.txt"], ["a.txt", "b.txt"]):
            out = default_out(arguments[0], arguments[1:])
            assert out.parent == Path()
            assert out.name.startswith(folder.name)


class TestBadFiles:
    @pytest.mark.parametrize(
        ("name", "raw", "reason"),
        [
            ("a.txt", b"", "it is empty"),
            ("a.txt", b" \n\t ", "it holds no text"),
            ("a.txt", b"\x89PNG\r\n\x1a\n", "its content is a PNG image, not text"),
            ("a.txt", bytes(range(256)) * 9, "its content is binary, not text"),
            ("a.txt", b"\x80\x81\x8d\x8f\x90\x9d" * 30, "neither UTF-8 nor"),
            ("a.txt", b"\xff\xfea", "breaks off inside a character"),
            ("a.pdf", b"hello", "it is not a PDF, whatever its name says"),
            ("a.png", b"hello", "it is not an image, whatever its name says"),
            ("a.webp", b"RIFF....AVI ", "it is not an image"),
            ("a.docx", b"PK\x03\x04", "files of type .docx are not read; save it as PDF or text"),
            ("a.jsonl", b"{}", "it holds many tasks: run it by itself"),
            ("a.xyz", b"hello", "files of type .xyz are not read"),
        ],
    )
    def test_are_named_with_the_reason(self, folder: Path, name: str, raw: bytes, reason: str) -> None:
        (folder / "in" / name).write_bytes(raw)
        (bad,) = read(folder)
        assert isinstance(bad, BadLine)
        assert (bad.place, bad.file) == (name, name)
        assert reason in bad.reason

    def test_what_would_never_end_is_not_opened(self, folder: Path) -> None:
        os.mkfifo(folder / "in" / "pipe.txt")
        (folder / "in" / "gone.txt").symlink_to(folder / "nowhere")
        gone, pipe = read(folder)
        assert isinstance(pipe, BadLine)
        assert isinstance(gone, BadLine)
        assert (pipe.reason, gone.reason) == (
            "it is not a regular file",
            "it cannot be read: No such file or directory",
        )

    def test_names(self, folder: Path) -> None:
        (folder / "in" / "a\x1b[2Jb.txt").touch()
        Path(os.fsdecode(os.fsencode(folder / "in") + b"/c\xff.txt")).write_text("x")
        escape, bytes_ = read(folder)
        assert isinstance(escape, BadLine)
        assert isinstance(bytes_, BadLine)
        assert escape.place == "a?[2Jb.txt"
        assert bytes_.reason == "its name is not UTF-8"

    def test_too_large_ones_are_not_read(self, folder: Path) -> None:
        with (folder / "in" / "a.txt").open("wb") as file:
            file.truncate(10**12)
        (bad,) = read(folder)
        assert isinstance(bad, BadLine)
        assert bad.reason == "it has 1,000,000,000,000 bytes; at most 20,000,000 can be sent"


class TestPdfAsText:
    def paper(self, folder: Path, raw: bytes) -> Draft:
        (folder / "in" / "a.pdf").write_bytes(raw)
        (draft,) = read(folder)
        assert isinstance(draft, Draft)
        return draft

    def test_its_text_stands_in_the_prompt(self, folder: Path) -> None:
        draft = self.paper(folder, pdf("The roof leaks"))
        assert draft.as_text is not None
        made = draft.as_text()
        assert content(made) == "About a.pdf: The roof leaks"
        assert (made.key, made.text, made.attachments, made.record) == (
            "a.pdf", "The roof leaks", frozenset(), draft.record
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("raw", "words"),
        [(pdf(), "holds no text \\(a scan"), (b"%PDF-1.4 nothing", "it is damaged")],
    )
    def test_where_there_is_none(self, folder: Path, raw: bytes, words: str) -> None:
        draft = self.paper(folder, raw)
        assert draft.as_text is not None
        with pytest.raises(InputError, match=words):
            draft.as_text()

    def test_rules_that_ask_for_text_see_what_a_pdf_says(self, folder: Path) -> None:
        (folder / "in" / "a.pdf").write_bytes(pdf("an attorney writes"))
        (folder / "in" / "b.pdf").write_bytes(pdf())
        rules = [{"when": {"text": "/attorney/"}, "urgency": "urgent"}]
        conf = Config.model_validate({"rules": rules, "folder": folder})
        assert [draft.text for draft in read(folder, conf=conf) if isinstance(draft, Draft)] == [
            "an attorney writes",
            "",
        ]
        assert [draft.text for draft in read(folder) if isinstance(draft, Draft)] == ["", ""]

    def test_without_pypdf_it_says_what_to_install(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        draft = self.paper(folder, pdf("x"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert draft.as_text is not None
        with pytest.raises(InputError, match=r"pip install 'laneway\[pdf\]'"):
            draft.as_text()
