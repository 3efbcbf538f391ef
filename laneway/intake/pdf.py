"""PDF documents: whether one can be used, how many pages it has, what it says. Through pypdf (extra ``pdf``)."""

from __future__ import annotations

import importlib.util
import io
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pypdf

INSTALL = "pip install 'laneway[pdf]'"


class NoText(ValueError):
    """Why a PDF's text cannot be had."""


def available() -> bool:
    return importlib.util.find_spec("pypdf") is not None


def check(data: bytes) -> None:
    """Raises NoText for a document that is locked: no provider opens it (where pypdf is there to see)."""
    if b"/Encrypt" in data and available():
        _opened(data)


def text(data: bytes) -> str:
    """All that a document says. Raises NoText for one that is locked, damaged or only pictures."""
    if not available():
        raise NoText(f"the model takes no PDF, and to extract its text pypdf is needed: {INSTALL}")
    try:
        pages = [page.extract_text() for page in _opened(data).pages]
    except NoText:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file can fail anywhere in the parser
        raise NoText(f"its text cannot be extracted ({type(error).__name__})") from None
    said = "\n\n".join(page.strip() for page in pages).strip()
    if not said:
        raise NoText("the model takes no PDF, and this one holds no text (a scan?); use a model that takes PDF")
    return said.encode("utf-8", "replace").decode()


def text_or_nothing(data: bytes) -> str:
    """What a document says, "" where that cannot be had."""
    try:
        return text(data)
    except NoText:
        return ""


def _opened(data: bytes) -> pypdf.PdfReader:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports every flaw that it can live with
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        locked: Any = reader.is_encrypted and not reader.decrypt("")
    except Exception as error:  # noqa: BLE001 - as above
        raise NoText(f"it is damaged ({type(error).__name__})") from None
    if locked:
        raise NoText("it is locked with a password")
    return reader
