"""``python -m laneway``."""

from laneway.cli.main import main

main()
