"""The files that pages load."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

from laneway.server.dashboard.assets import FOLDER, asset


def test_what_comes_from_others_is_what_its_readme_says() -> None:
    said = re.findall(r"\| `([^`]+)` \| `[^`]+` \| `([0-9a-f]{64})` \|", (FOLDER / "README.md").read_text())
    found = {path.name for path in FOLDER.glob("*.min.js")}
    assert {name for name, _ in said} == found
    for name, hash_ in said:
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == hash_, name


def test_a_files_url_changes_with_its_content() -> None:
    assert re.fullmatch(r"/static/laneway\.css\?v=[0-9a-f]{12}", asset("laneway.css"))


def test_templates_and_files_are_in_the_wheel() -> None:
    root = Path(__file__).parents[2]
    packed = {Path(one.distribution_path) for one in WheelBuilder(str(root)).recurse_included_files()}
    folder = root / "laneway" / "server" / "dashboard"
    there = {path.relative_to(root) for part in ("templates", "static") for path in (folder / part).iterdir()}
    assert there
    assert there <= packed
