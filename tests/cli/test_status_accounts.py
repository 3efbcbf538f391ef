"""How an account's limits are told by ``laneway status``."""

from __future__ import annotations

from typing import Any

from laneway.cli.status_accounts import account_data, account_lines

STATE: dict[str, Any] = {
    "limits": {"tokens_per_minute": 90_000.0},
    "found": {"requests_per_minute": 600.4, "concurrency": 12},
    "origins": {"tokens_per_minute": "headers", "requests_per_minute": "found", "concurrency": "found"},
    "concurrency": 12,
    "in_flight": 7,
    "history": [[100.0, "concurrency", 12, "why"], [130.0, "requests_per_minute", None, "because"]],
}


def test_limits_are_told_with_where_they_are_known_from_and_the_last_changes() -> None:
    data = account_data(STATE, 158.0)
    assert account_lines("main", data, paused=False, now=160.0) == [
        "account main: 7 in flight, 90,000 tokens/min by its headers, 600 requests/min found, 12 at once found"
        " (2 s ago)",
        "        60 s ago  at once: 12 (why)",
        "        30 s ago  requests/min: open (because)",
    ]
    assert data["limits"] == {"tokens_per_minute": 90_000.0, "requests_per_minute": 600.4}
    assert data["concurrency"] == 12
    assert data["changes"][0] == {"at": 100.0, "limit": "concurrency", "value": 12, "reason": "why"}


def test_an_account_that_is_paused_and_unseen_has_one_line() -> None:
    assert account_lines("main", {}, paused=True, now=160.0) == ["account main: paused by hand"]


def test_what_an_earlier_version_kept_is_understood() -> None:
    data = account_data({"concurrency": 20, "history": [[1.0, 20, "start"]]}, 1.0)
    assert account_lines("main", data, paused=False, now=3.0) == ["account main: 20 at once (2 s ago)"]
