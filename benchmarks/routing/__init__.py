"""The parts of `python -m benchmarks triage`, one a file: each has `run(data)`."""
