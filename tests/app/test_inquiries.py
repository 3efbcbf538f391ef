"""From what the classifier says to the route that follows: the same as if triage had known it from the beginning."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from itertools import product
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway import Laneway
from laneway.app.hearing import rulings
from laneway.app.inquiries import Asked, Inquiries
from laneway.config.models import Config
from laneway.store.asking import Ruling
from laneway.store.runs import Run, Submitted
from laneway.store.steering import Pause, PauseKind
from laneway.store.workers import WorkerInfo
from laneway.task import NewTask, Urgency
from laneway.triage.patient import Patient, Pins
from laneway.triage.pipeline import left_open

NOW = 1_700_000_000.0
CONFIG: dict[str, Any] = {
    "accounts": {"main": {}},
    "models": {
        "small": {"account": "main", "id": "s", "context_window": 1000},
        "strong": {"account": "main", "id": "t", "context_window": 1000},
    },
    "types": {"ticket": {}},
    "rules": [
        {"when": {"category": "fraud"}, "model": "strong", "lane": "fraud", "fallbacks": ["small"]},
        {"when": {"category": "!=other", "urgency": ">=urgent"}, "lane": "soon"},
        {"when": {"tags": "vip"}, "urgency": "urgent"},
    ],
    "defaults": {"model": "small"},
    "triage": {
        "classifier": {
            "model": "small",
            "fields": {"category": ["fraud", "billing", "other", "press", "hr"], "complexity": {}, "urgency": {}},
        }
    },
}
LABELS = {
    "category": [None, "fraud", "billing", "other", "hr"],
    "complexity": [None, "low", "high"],
    "urgency": [None, "immediate", "urgent", "relaxed"],
}


class Kept:
    """Of a store what asking needs: it keeps the questions."""

    def __init__(self, pauses: Sequence[Pause] = (), paused: Sequence[str] = (), alive: bool = True) -> None:
        """``paused``: accounts, after a fault that a worker saw; it may be gone by now."""
        self._pauses, self._paused, self._alive = list(pauses), paused, alive
        self.questions: list[NewTask] = []
        self.about: list[list[int]] = []

    async def verdicts(self, digests: list[bytes]) -> dict[bytes, dict[str, str]]:
        return {}

    async def pauses(self) -> list[Pause]:
        return self._pauses

    async def states(self, prefix: str) -> dict[str, tuple[dict[str, Any], float]]:
        return {name: ({"paused": "invalid key", "by": "w"}, NOW) for name in self._paused}

    async def workers(self, now: float) -> list[WorkerInfo]:
        return [WorkerInfo("w", "here", 1, NOW - 60, NOW - 1, NOW + 9, 0)] if self._alive else []

    async def ask(self, run: Run, questions: list[NewTask], about: list[list[int]], now: float, held: bool) -> None:
        self.questions += questions
        self.about += about


def inquiries(lw: Laneway) -> Inquiries:
    found = lw.inquiries()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def lw() -> Laneway:
    return Laneway(Config.model_validate(CONFIG))


def patient(text: str = "my card", **more: Any) -> Patient:
    return Patient(**{"type": "ticket", "text": text, "input_tokens": 50, "output_tokens": 20, **more})


def asked(lw: Laneway, who: Patient) -> Asked:
    route = lw.triage.assess(who)
    spec: Any = None
    return Asked(NewTask(b"{}", spec, route, NOW + 600, input_tokens=50, output_tokens=20), who)


async def ask(lw: Laneway, *patients: Patient) -> Kept:
    store: Any = Kept()
    run: Any = None
    mine = inquiries(lw)
    all_ = await mine.known(store, [asked(lw, one) for one in patients], NOW)
    done = Submitted(ids=list(range(1, len(patients) + 1)), waiting=list(range(len(patients))))
    await mine.ask(store, run, all_, done, NOW)
    kept: Kept = store
    return kept


async def heard(lw: Laneway, who: Patient, said: dict[str, str]) -> Ruling:
    kept = await ask(lw, who)
    assert kept.questions[0].record is not None
    (ruling,) = rulings(orjson.loads(kept.questions[0].record), json.dumps({"1": said}))
    return ruling


@pytest.mark.parametrize("who", [patient(), patient(tags=("vip",)), patient(pins=Pins(lane="mine"))])
async def test_every_answer_leads_where_triage_would_have_led_with_it(lw: Laneway, who: Patient) -> None:
    for labels in product(*LABELS.values()):
        said = {name: label for name, label in zip(LABELS, labels, strict=True) if label is not None}
        lacking = left_open(asked(lw, who).task.route)
        expected = lw.triage.assess(dataclasses.replace(who, said={k: v for k, v in said.items() if k in lacking}))
        ruling = await heard(lw, who, said)
        found = ruling.route or asked(lw, who).task.route
        assert found == expected, said
        assert found.lane != "fraud" or found.category == "fraud"
        if ruling.route is not None:
            assert ruling.due_at <= NOW + lw.config.target_wait(found.urgency)


@given(st.dictionaries(st.sampled_from(["category", "complexity", "urgency"]), st.sampled_from(["immediate", "x"])))
async def test_no_answer_raises_urgency_by_more_than_one_class(said: dict[str, str]) -> None:
    ruling = await heard(Laneway(Config.model_validate(CONFIG)), patient(), said)
    if ruling.route is not None:
        assert ruling.route.urgency >= Urgency.URGENT


async def test_a_pinned_urgency_and_what_a_rule_filled_stay(lw: Laneway) -> None:
    who = patient(pins=Pins(urgency=Urgency.RELAXED, model="small"))
    ruling = await heard(lw, who, {"category": "fraud", "urgency": "immediate"})
    assert ruling.route is not None
    assert (ruling.route.urgency, ruling.route.model) == (Urgency.RELAXED, "small")


async def test_reasons_say_who_said_it(lw: Laneway) -> None:
    ruling = await heard(lw, patient(), {"category": "billing", "complexity": "high"})
    assert ruling.route is not None
    assert ruling.route.reasons["category"] == ruling.route.reasons["complexity"] == "classifier small"
    assert ruling.said == {"category": "billing", "complexity": "high"}


@pytest.mark.parametrize(
    ("who", "asks"),
    [
        (patient(), True),
        (patient(text="  "), False),
        (patient(needs_model=False), False),
        (patient(attachments=frozenset({"image"})), False),
    ],
)
def test_who_is_asked_about(lw: Laneway, who: Patient, asks: bool) -> None:
    assert inquiries(lw).open(who, lw.triage.assess(who)) is asks


def test_who_has_everything_is_not_asked_about() -> None:
    rules = [{"when": {}, "category": "other", "complexity": "low", "urgency": "standard"}]
    lw = Laneway(Config.model_validate({**CONFIG, "rules": rules}))
    assert not inquiries(lw).open(patient(), lw.triage.assess(patient()))


async def test_ten_go_in_one_question_and_urgent_ones_apart(lw: Laneway) -> None:
    many = [patient(f"text {n}") for n in range(23)]
    kept = await ask(lw, *many, patient("vip", tags=("vip",)))
    assert [len(about) for about in kept.about] == [10, 10, 3, 1]
    assert kept.questions[-1].route.urgency is Urgency.URGENT
    assert {question.route.lane for question in kept.questions} == {"triage"}
    assert len({question.key for question in kept.questions}) == 4


async def test_no_usable_answer_means_that_all_go_on_as_they_are(lw: Laneway) -> None:
    kept = await ask(lw, patient("a"), patient("b"))
    assert kept.questions[0].record is not None
    found = rulings(orjson.loads(kept.questions[0].record), None)
    assert found == [Ruling(1), Ruling(2)]


@pytest.mark.parametrize(
    ("due", "within"), [(600.0, 20.0), (60.0, 20.0), (30.0, 15.0), (2.0, 1.0), (0.9, None), (0.0, None), (-5.0, None)]
)
async def test_no_task_spends_more_than_half_of_its_time_on_a_verdict(
    lw: Laneway, due: float, within: float | None
) -> None:
    store: Any = Kept()
    one = asked(lw, patient())
    soon = one._replace(task=dataclasses.replace(one.task, due_at=NOW + due))
    (found,) = await inquiries(lw).known(store, [soon], NOW)
    assert found.task.verdict_within == (None if within is None else pytest.approx(within))
    assert (found.patient is None) is (within is None)


@pytest.mark.parametrize(
    ("store", "asks"),
    [
        (Kept(), True),
        (Kept([Pause(PauseKind.LANE, "triage", None, 1), Pause(PauseKind.LANE, "general", NOW, 0)]), True),
        (Kept([Pause(PauseKind.LANE, "triage", NOW, 0)]), False),
        (Kept([Pause(PauseKind.ACCOUNT, "main", NOW, 0)]), False),
        (Kept(paused=["main"]), False),
        (Kept(paused=["main"], alive=False), True),
        (Kept(paused=["another"]), True),
    ],
)
async def test_nobody_waits_for_one_who_cannot_be_reached(lw: Laneway, store: Any, asks: bool) -> None:
    (found,) = await inquiries(lw).known(store, [asked(lw, patient())], NOW)
    assert (found.patient is not None, found.task.verdict_within is not None) == (asks, asks)


def options(lw: Laneway) -> int:
    mine, one = inquiries(lw), asked(lw, patient())
    return len(list(mine._options(one.task, patient(), ["category"], NOW)))


def test_categories_that_no_rule_tells_apart_are_worked_out_once(lw: Laneway) -> None:
    assert options(lw) == 1 + 3, "none said, fraud, other, and one for all the rest"
    named = {**CONFIG, "rules": [{"when": {"category": "/^(press|hr)$/"}, "lane": "people"}]}
    assert options(Laneway(Config.model_validate(named))) == 1 + 2


async def test_a_function_may_tell_every_category_from_every_other() -> None:
    lw = Laneway(Config.model_validate({**CONFIG, "rules": []}))
    lw.rule(lambda who: {"lane": who.said["category"]} if "category" in who.said else None)
    assert options(lw) == 1 + 5
    for label in ("press", "hr"):
        ruling = await heard(lw, patient(), {"category": label})
        assert ruling.route is not None
        assert (ruling.route.lane, ruling.route.category) == (label, label)
