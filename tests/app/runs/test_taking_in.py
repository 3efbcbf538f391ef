"""Between reading and storing: how much is held at once, and what a model makes of an attachment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from laneway import Laneway
from laneway.app.runs.taking_in import CHUNK, CHUNK_BYTES, TakingIn
from laneway.config.models import Config
from laneway.intake.draft import Draft
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading
from laneway.task import Spec, Wire
from laneway.triage.attachments import claude, openai
from tests.material import pdf, png


@pytest.fixture
def lw(tmp_path: Path) -> Laneway:
    models = {
        "mini": {"account": "openai", "id": "gpt-4o-mini"},
        "claude": {"account": "anthropic", "id": "claude-haiku-4-5"},
        "deep": {"account": "deepseek", "id": "deepseek-chat"},
    }
    accounts = {name: {"provider": name, "api_key_env": "K"} for name in ("openai", "anthropic", "deepseek")}
    config = Config.model_validate(
        {
            "accounts": accounts,
            "models": models,
            "folder": tmp_path,
            "defaults": {"model": "claude", "fallbacks": ["deep", "mini"]},
        }
    )
    return Laneway(config, env={"K": "k"})


def taken(lw: Laneway, reading: Reading) -> TakingIn:
    return TakingIn(lw, reading, lw.new_catalog())


def test_large_tasks_are_not_gathered_into_one_chunk(lw: Laneway) -> None:
    draft = Draft(1, "k", Spec("chat", Wire.CHAT), b"x" * (CHUNK_BYTES // 2), "", 1, 1)

    def drafts(n: int, one: Draft) -> Iterator[Draft]:
        return (replace(one, key=str(i)) for i in range(n))

    def sizes(items: Iterator[Draft]) -> list[int]:
        reading = Reading("in", Kind.BATCH, items, ReadOptions(), stem=Path("in"))
        return [len(chunk) for chunk in taken(lw, reading).chunks()]

    assert sizes(drafts(7, draft)) == [3, 3, 1]
    assert sizes(drafts(CHUNK + 1, replace(draft, body=b"x"))) == [CHUNK, 1]


def routed(lw: Laneway, folder: Path, name: str, raw: bytes, model: str | None = None) -> tuple[int, tuple[str, ...]]:
    (folder / name).write_bytes(raw)
    (folder / "p.j2").write_text("{{ text }}")
    reading = open_reading(str(folder / name), lw.config, ReadOptions(prompt=folder / "p.j2", model=model))
    ((one,),) = taken(lw, reading).chunks()
    return one.task.input_tokens, (one.task.route.model, *one.task.route.fallbacks)


def test_a_picture_is_counted_as_its_model_counts_it(lw: Laneway, tmp_path: Path) -> None:
    frame = 7
    assert routed(lw, tmp_path, "a.png", png(640, 480), "mini")[0] == frame + openai("gpt-4o-mini", 640, 480)
    assert routed(lw, tmp_path, "a.png", png(640, 480), "claude")[0] == frame + claude(640, 480)


def test_a_pdf_falls_back_only_to_models_that_take_it(lw: Laneway, tmp_path: Path) -> None:
    assert routed(lw, tmp_path, "a.pdf", pdf("x"))[1] == ("claude", "mini")
    assert routed(lw, tmp_path, "a.png", png())[1] == ("claude", "mini")
    assert routed(lw, tmp_path, "a.txt", b"x")[1] == ("claude", "deep", "mini")
