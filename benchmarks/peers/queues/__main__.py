from __future__ import annotations

import importlib
import signal
import sys

from benchmarks.peers.queues import QUEUES
from benchmarks.peers.queues.harness import main

signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started ends with it
module, name = QUEUES[sys.argv[1]]
main(getattr(importlib.import_module(f"benchmarks.peers.queues.{module}"), name))
