"""What Prometheus would read, held to what promtool checks."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

UNITS = ("_seconds", "_bytes", "_usd", "_tokens", "_ratio")
LABELS = {
    "lane", "urgency", "model", "state", "account", "type", "limit", "reason", "kind", "name", "outcome", "direction",
    "method", "route", "status", "le", "version", "generation", "implementation", "major", "minor", "patchlevel",
}  # fmt: skip
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(text: str) -> Samples:
    """Samples by name and labels. Asserts what promtool's lint asks for: help, type, no colon or capital, counters that
    end in _total and nothing else that does, no series twice, no label that is not known here."""
    samples: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        assert re.fullmatch(r"[a-z_][a-z0-9_]*", family.name), family.name
        assert not re.search(r"_(milliseconds|ms|minutes|hours|kb|mb|percent|count|sum|bucket)$", family.name)
        for sample in family.samples:
            if sample.name.startswith("laneway"):
                assert (family.type == "counter") == sample.name.endswith("_total"), sample.name
                assert set(sample.labels) <= LABELS, sample
            place = sample.name, frozenset(sample.labels.items())
            assert place not in samples, f"twice: {place}"
            samples[place] = sample.value
    return samples


def value(samples: Samples, name: str, /, **labels: str) -> float:
    """The sum over what has these labels. Raises AssertionError where there is none."""
    found = [n for (own, has), n in samples.items() if own == name and labels.items() <= dict(has).items()]
    assert found, f"no {name} {labels} among {sorted({own for own, _ in samples})}"
    return sum(found)
