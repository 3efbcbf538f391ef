"""What of a store's URL people see."""

from __future__ import annotations

import pytest

from laneway.store.urls import shown


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("postgresql://anna:secret@db.example:5433/work", "postgresql://anna@db.example:5433/work"),
        ("postgresql://anna:se%40cret@db/work?sslmode=require", "postgresql://anna@db/work?sslmode=require"),
        ("postgresql://db/work?user=anna&password=secret&a=b", "postgresql://db/work?user=anna&password=…&a=b"),
        ("postgresql://db/work?sslpassword=secret", "postgresql://db/work?sslpassword=…"),
        ("postgresql://db/work", "postgresql://db/work"),
        ("postgresql:///work?host=/run/pg", "postgresql:///work?host=/run/pg"),
        ("sqlite:////var/lib/laneway.db", "sqlite:////var/lib/laneway.db"),
    ],
)
def test_a_password_is_never_shown(url: str, seen: str) -> None:
    assert shown(url) == seen
