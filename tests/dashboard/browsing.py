"""A Chromium that looks at a running server, and what is held of every page it sees."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

SCREENS = Path(__file__).parents[2] / ".artifacts" / "screens"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE_MS = 30_000  # all of the machine may be busy with other tests
WIDE, PHONE = (1280, 900), (390, 844)
GRAVE = ("serious", "critical")
LARGEST = 256 * 1024  # bytes of a page
EXPECTED = re.compile(r"the server responded with a status of 4\d\d")  # a test that asks for what is refused


def chromium() -> str | None:
    """Where the distribution's is."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as driver:
        options = ["--no-sandbox"] if root else []
        one = driver.chromium.launch(executable_path=chromium(), args=[*options, "--disable-gpu"])
        yield one
        one.close()


@dataclass
class Look:
    """Pages of one server, in one browser. ``faults``: what the console said, a violated CSP among it."""

    browser: Browser
    url: str
    faults: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)  # what was fetched from elsewhere

    @contextlib.contextmanager
    def page(
        self, path: str = "/", *, size: tuple[int, int] = WIDE, dark: bool = False, **options: Any
    ) -> Iterator[Page]:
        context = self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", lambda request: self._fetched(request.url))
        page.goto(self.url + path)
        try:
            yield page
        finally:
            context.close()
        assert not self.faults, self.faults
        assert not self.strangers, self.strangers

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not EXPECTED.search(message.text):
            self.faults.append(message.text)

    def _fetched(self, url: str) -> None:
        if not url.startswith((self.url, "data:")):
            self.strangers.append(url)

    def size_of(self, path: str) -> int:
        """Bytes of a page."""
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return len(answer.read())


def check(page: Page, name: str) -> None:
    """What every page must hold at any width and in any colours; keeps a picture of it."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=True)
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], f"{name} scrolls to the side: {wide}"
    found = [one for one in Axe().run(page).response["violations"] if one["impact"] in GRAVE]
    said = [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"][:3]]
    assert not said, f"{name}: " + "\n".join(said)


def check_all(look: Look, path: str, name: str) -> None:
    """On a wide light screen and on a dark phone: each width and each colour once."""
    assert look.size_of(path) <= LARGEST
    for size, dark, kind in ((WIDE, False, "wide-light"), (PHONE, True, "phone-dark")):
        with look.page(path, size=size, dark=dark) as page:
            check(page, f"{name}-{kind}")
