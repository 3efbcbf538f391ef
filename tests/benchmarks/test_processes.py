from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.processes import cpu_s, tree_cpu_s

SPIN = "import time\nwhile time.process_time() < 0.3: pass\n"
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


def test_a_tree_holds_what_a_living_child_used_and_what_a_dead_one_did() -> None:
    before = tree_cpu_s(os.getpid())
    subprocess.run([sys.executable, "-c", SPIN], check=True)
    gone = tree_cpu_s(os.getpid())
    assert gone - before >= 0.28
    living = subprocess.Popen(
        [sys.executable, "-c", SPIN + "print(flush=True)\ninput()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with living:
        assert living.stdout is not None
        living.stdout.readline()
        assert cpu_s(living.pid) >= 0.28
        assert tree_cpu_s(os.getpid()) - gone >= 0.28
        living.communicate(b"\n")
