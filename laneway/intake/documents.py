"""Files as tasks, one each: texts go into the prompt, PDF and images beside it as the provider's own parts."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from laneway.errors import InputError
from laneway.intake import encoding, pdf
from laneway.intake.draft import BadLine, Draft
from laneway.intake.places import Files
from laneway.intake.prompts import Document
from laneway.intake.records import LONGEST_KEY, Records
from laneway.providers.translate import refusals
from laneway.task import Wire

# OpenAI takes 50 MB of files in a request ("File inputs"), Anthropic 32 MB of request and so 24 MB before base64
# ("PDF support"); with room for the prompt:
LARGEST = 20_000_000  # bytes
PDF = "application/pdf"
IMAGES = {  # the four that both providers take ("Images and vision", "Vision")
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"RIFF": "image/webp",
}
TEXTS = frozenset((
    "txt", "text", "md", "markdown", "rst", "adoc", "tex", "log", "eml", "html", "htm", "xhtml", "xml", "svg", "json",
    "yaml", "yml", "toml", "ini", "cfg", "conf", "csv", "tsv", "srt", "vtt", "py", "js", "ts", "jsx", "tsx", "java",
    "kt", "c", "h", "cc", "cpp", "hpp", "cs", "go", "rs", "rb", "php", "pl", "r", "m", "swift", "scala", "sh", "bash",
    "sql", "css",
))  # fmt: skip
PICTURES = frozenset(("png", "jpg", "jpeg", "gif", "webp"))
_INSTEAD = {
    "docx": "save it as PDF or text", "doc": "save it as PDF or text", "odt": "save it as PDF or text",
    "rtf": "save it as PDF or text", "pptx": "save it as PDF", "ppt": "save it as PDF",
    "xlsx": "a table is an input of its own: run it by itself", "jsonl": "it holds many tasks: run it by itself",
    "xls": "a table is an input of its own: run it by itself", "tif": "save it as PNG or JPEG",
    "tiff": "save it as PNG or JPEG", "bmp": "save it as PNG or JPEG", "heic": "save it as JPEG",
    "zip": "unpack it", "gz": "unpack it",
}  # fmt: skip


class _Unusable(ValueError):
    """Why a file cannot become a task."""


def is_document(suffix: str) -> bool:
    """Whether a file of this suffix (with its dot), given alone, is one document rather than a list of tasks."""
    kind = suffix.removeprefix(".").casefold()
    return kind == "pdf" or kind in PICTURES or (kind in TEXTS and kind not in ("json", "csv", "tsv"))


@dataclass(frozen=True, slots=True)
class _Opened:
    text: str = ""
    media: str = ""  # its media type, when it goes as a part of its own
    data: bytes = b""


class Documents:
    """Turns files into drafts. ``columns`` of their records: ``file``. ``looks_inside``: triage asks what PDF say."""

    columns = ("file",)

    def __init__(self, files: Files, records: Records, *, looks_inside: bool = False) -> None:
        self._files = files
        self._looks_inside = looks_inside and pdf.available()
        self._records = records
        self._type = records.one_type()

    def drafts(self) -> Iterator[Draft | BadLine]:
        for number, (name, path) in enumerate(self._files.paths, 1):
            shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            try:
                _check_name(name, shown)
                yield self._draft(number, name, path)
            except (_Unusable, encoding.NotText, pdf.NoText) as error:
                yield BadLine(number, str(error), b"", shown)
            except InputError as error:
                yield BadLine(number, error.message, b"", shown)

    def _draft(self, number: int, name: str, path: Path) -> Draft:
        opened = _open(path)
        if opened.media and self._records.texts_only:
            if opened.media != PDF:
                raise _Unusable("a function takes texts, and this is an image")
            opened = _Opened(pdf.text(opened.data))
        draft = self._rendered(number, name, path, opened)
        if opened.media != PDF:
            return draft
        said = pdf.text_or_nothing(opened.data) if self._looks_inside else ""
        return replace(draft, text=said, as_text=lambda: self._as_text(number, name, path))

    def _as_text(self, number: int, name: str, path: Path) -> Draft:
        """A PDF's draft with its text in place of the document. Raises InputError."""
        try:
            return self._rendered(number, name, path, _Opened(pdf.text(_read(path))))
        except (_Unusable, pdf.NoText) as error:
            raise InputError(str(error)) from None

    def _rendered(self, number: int, name: str, path: Path, opened: _Opened) -> Draft:
        fields = {"file": name, "name": path.name, "text": opened.text}
        rendered = self._type.render(fields, Document(opened.text, _part(path.name, opened)))
        return Draft(
            line=number,
            file=name,
            key=name,
            spec=self._type.spec,
            body=rendered.body,
            text=rendered.text,
            input_tokens=rendered.input_tokens,
            output_tokens=rendered.output_tokens,
            pins=self._records.pins({}),
            fields=fields,
            record=orjson.dumps({"file": name}),
            refused_by=refusals(Wire.CHAT, rendered.request) if rendered.request else {},
            attachments=frozenset({"pdf" if opened.media == PDF else "image"} if opened.media else ()),
        )


def _check_name(name: str, shown: str) -> None:
    if shown != name:
        raise _Unusable("its name is not UTF-8")
    if len(name) > LONGEST_KEY:
        raise _Unusable(f"its name is longer than {LONGEST_KEY} characters")


def _part(name: str, opened: _Opened) -> dict[str, Any] | None:
    """The document as a content part of Chat Completions."""
    if not opened.media:
        return None
    url = f"data:{opened.media};base64,{base64.b64encode(opened.data).decode()}"
    if opened.media == PDF:
        return {"type": "file", "file": {"filename": name, "file_data": url}}
    return {"type": "image_url", "image_url": {"url": url}}


def _open(path: Path) -> _Opened:
    kind = path.suffix.removeprefix(".").casefold()
    if kind == "pdf":
        data = _read(path)
        if b"%PDF-" not in data[:1024]:
            raise _Unusable("it is not a PDF, whatever its name says")
        pdf.check(data)
        return _Opened(media=PDF, data=data)
    if kind in PICTURES:
        data = _read(path)
        media = next((media for magic, media in IMAGES.items() if data.startswith(magic)), None)
        if media is None or (media == "image/webp" and data[8:12] != b"WEBP"):
            raise _Unusable("it is not an image, whatever its name says")
        return _Opened(media=media, data=data)
    if kind and kind not in TEXTS:
        raise _Unusable(f"files of type .{kind} are not read" + (f"; {_INSTEAD[kind]}" if kind in _INSTEAD else ""))
    text = _mail(_read(path)) if kind == "eml" else encoding.decode(_read(path))
    if not text.strip():
        raise _Unusable("it holds no text")
    return _Opened(text)


def _read(path: Path) -> bytes:
    """A regular file's bytes, looked at before it is opened: a pipe would never end."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise _Unusable("it is not a regular file" if not stat.S_ISDIR(about.st_mode) else "it cannot be listed")
        if about.st_size > LARGEST:
            raise _Unusable(f"it has {about.st_size:,} bytes; at most {LARGEST:,} can be sent")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _Unusable(f"it cannot be read: {error.strerror}") from None
    if not data:
        raise _Unusable("it is empty")
    return data


def _mail(raw: bytes) -> str:
    """A mail's main headers and its text, decoded."""
    import email
    import email.policy

    message = email.message_from_bytes(raw, policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    try:
        said = body.get_content() if body is not None else ""
    except (LookupError, UnicodeError):
        said = ""
    if not said.strip():
        return encoding.decode(raw)
    heads = [f"{name}: {message[name]}" for name in ("From", "To", "Date", "Subject") if message[name]]
    return "\n".join(heads) + "\n\n" + said
