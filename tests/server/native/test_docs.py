"""The examples of ``docs/api.md`` run as they are written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.served import Serve, Simulate

PAGE = Path(__file__).parents[3] / "docs" / "api.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_run(serve: Serve, simulate: Simulate) -> None:
    simulate()
    served = serve()
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) > 4
    script = "\n".join(blocks).replace("http://127.0.0.1:8080", served.url.removesuffix("/v1"))
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr}"
    assert '"state":"succeeded"' in done.stdout
    assert "event: figures" in done.stdout
    assert "event: state" in done.stdout
