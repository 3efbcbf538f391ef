from __future__ import annotations

import importlib
import sys

from benchmarks.peers.queues import QUEUES
from benchmarks.peers.queues.harness import main

module, name = QUEUES[sys.argv[1]]
main(getattr(importlib.import_module(f"benchmarks.peers.queues.{module}"), name))
