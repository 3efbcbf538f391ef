"""The files that pages load."""

from __future__ import annotations

import hashlib
import re

from laneway.server.dashboard.assets import FOLDER, asset


def test_what_comes_from_others_is_what_its_readme_says() -> None:
    said = re.findall(r"\| `([^`]+)` \| `[^`]+` \| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text())
    found = {path.name for path in FOLDER.glob("*.min.js")}
    assert {name for name, _ in said} == found
    for name, hash_ in said:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == hash_, name


def test_a_files_url_changes_with_its_content() -> None:
    assert re.fullmatch(r"/static/laneway\.css\?v=[0-9a-f]{12}", asset("laneway.css"))
