"""What an input holds."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    BATCH = "batch"  # complete requests, as providers' batches have them
    RECORDS = "records"  # rows, to which a prompt belongs
