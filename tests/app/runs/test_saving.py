"""What a choice among models saved in a run, and what quality is to be expected of it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from laneway.app.runs.saving import saving_of
from laneway.cli.report import saving_line
from laneway.config.models import Config
from laneway.learning.choice import fit
from laneway.learning.outcomes import outcomes
from laneway.providers.catalog import Catalog
from laneway.store.sqlite import SQLiteStore
from laneway.task import NewTask, Route, Spec, Urgency, Wire
from tests.store.helpers import LEASE, NOW, claim, open_run, settlement

SETTINGS = {
    "accounts": {"main": {"provider": "ollama"}},
    "models": {
        "small": {"account": "main", "id": "a", "input_price": 1, "output_price": 1},
        "strong": {"account": "main", "id": "b", "input_price": 10, "output_price": 10},
    },
    "triage": {"model": "model.npz"},
}


def learnt(path: Path) -> None:
    """Letters are easy for both, contracts only for the strong one."""
    rows = [
        {
            "text": f"{'a contract to be checked' if hard else 'a letter to be answered'}, number {i}",
            "type": "clause" if hard else "letter",
            "quality:small": 0 if hard else 1,
            "quality:strong": 1,
            "cost:small": 1e-4,
            "cost:strong": 1e-3,
        }
        for i in range(200)
        for hard in (i % 2 == 0,)
    ]
    fit(outcomes(rows)).write(path)


def new(key: str, model: str, kind: str) -> NewTask:
    text = "a contract to be checked" if kind == "clause" else "a letter to be answered"
    record = orjson.dumps({"text": text})
    return NewTask(b"{}", Spec(kind, Wire.CHAT), Route("general", Urgency.STANDARD, model), NOW, key=key, record=record)


async def test_the_saving_is_against_the_same_tokens_on_the_strongest(tmp_path: Path) -> None:
    learnt(tmp_path / "model.npz")
    config = Config.model_validate({**SETTINGS, "folder": tmp_path})
    store = SQLiteStore(tmp_path / "s.db", inline=True)
    run = await open_run(store)
    tasks = [
        new("a", "small", "letter"),
        new("b", "small", "letter"),
        new("c", "strong", "clause"),
        new("d", "small", "clause"),
    ]
    await store.submit(run, tasks, NOW, held=True)
    await store.seal_run(run, NOW)
    await store.join("w", LEASE, NOW)
    claimed = [*await claim(store), *await claim(store)]
    costs = {"small": 130e-6, "strong": 1300e-6}
    await store.settle("w", [settlement(task, cost=costs[task.model]) for task in claimed], NOW)
    saving = await saving_of(config, store, run, await store.figures(run), Catalog(config, {}))
    await store.close()
    assert saving is not None
    assert (saving.strongest, saving.share) == ("strong", {"small": 0.75, "strong": 0.25})
    assert saving.others == 0.75
    assert saving.strongest_usd == pytest.approx(4 * 1300e-6)
    assert saving.saved == pytest.approx(1 - (3 * 130 + 1300) / (4 * 1300))
    assert saving.quality_kept == pytest.approx(0.75, abs=0.05), "one of four is a clause on the small model"
    line = saving_line(saving)
    assert "75% of the tasks on small" in line
    assert "less than strong for everything" in line
    assert "of its quality is expected" in line


async def test_without_a_choice_or_its_file_nothing_is_said(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db", inline=True)
    run = await open_run(store)
    figures = await store.figures(run)
    for triage in ({}, {"model": "gone.npz"}):
        config = Config.model_validate({**SETTINGS, "triage": triage, "folder": tmp_path})
        assert await saving_of(config, store, run, figures, Catalog(config, {})) is None
    await store.close()
