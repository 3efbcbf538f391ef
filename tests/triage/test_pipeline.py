"""The nurse: which step decides what, and what it says about it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from laneway.config.load import load
from laneway.config.models import Config
from laneway.errors import ConfigError, InputError
from laneway.task import Route, Urgency
from laneway.triage.patient import Patient, Pins
from laneway.triage.pipeline import Triage, explain

MANAGER = """
# Our rules, in the order in which they decide. The first that says something about a field keeps it.

[[rules]]
name = "attorney letters"
when = { text = "/attorney|lawyer/", type = "letter" }
lane = "legal"
urgency = "urgent"
category = "legal"
model = "strong"
fallbacks = ["small"]

[[rules]]
name = "large amounts"
when = { amount = ">=10000" }
urgency = "high"
complexity = "high"

[[rules]]
name = "press and VIPs"
when = { tags = ["press", "vip"] }
urgency = "immediate"

[[rules]]
name = "hard cases go to the strong model"
when = { complexity = ">=medium" }
model = "strong"

[[rules]]
name = "everything legal is filed"
when = { category = "legal", urgency = ">=urgent" }
complexity = "medium"

[accounts.main]
[models.small]
account = "main"
id = "s"
context_window = 8000
[models.strong]
account = "main"
id = "l"
context_window = 100000
[types.letter]
urgency = "standard"
lane = "letters"
[types.survey]
urgency = "relaxed"
model = "small"
[urgency.urgent]
aliases = ["high"]
[defaults]
model = "small"
"""


@pytest.fixture
def desk(tmp_path: Path) -> Triage:
    (tmp_path / "laneway.toml").write_text(MANAGER)
    return Triage(load(env={}, cwd=tmp_path))


def triage(settings: Mapping[str, Any] | None = None, **options: Any) -> Triage:
    models = {"small": {"account": "a", "id": "s", "context_window": 1000}, "strong": {"account": "a", "id": "l"}}
    base = {"accounts": {"a": {}}, "models": models, "defaults": {"model": "small"}}
    return Triage(Config.model_validate({**base, **(settings or {})}), **options)


def patient(type: str = "chat", text: str = "hello", tokens: int = 10, **more: Any) -> Patient:
    return Patient(type=type, text=text, input_tokens=tokens, **more)


def decided(route: Route) -> tuple[str, str, str]:
    return route.lane, route.urgency.label, route.model


# the whole of it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("who", "expected", "by"),
    [
        (
            patient("letter", "My lawyer will hear of this"),
            Route("legal", Urgency.URGENT, "strong", ("small",), "legal", "medium"),
            {
                "lane": 'rule 1 "attorney letters"',
                "urgency": 'rule 1 "attorney letters"',
                "complexity": 'rule 5 "everything legal is filed"',
            },
        ),
        (
            patient("letter", "Invoice enclosed", fields={"amount": "12500"}),
            Route("letters", Urgency.URGENT, "strong", (), None, "high"),
            {
                "lane": "type letter",
                "urgency": 'rule 2 "large amounts"',
                "model": 'rule 4 "hard cases go to the strong model"',
            },
        ),
        (
            patient("survey", "fine", tags=("VIP",)),
            Route("general", Urgency.IMMEDIATE, "small"),
            {"lane": "[defaults]", "urgency": 'rule 3 "press and VIPs"', "model": "type survey"},
        ),
        (
            patient("chat"),
            Route("general", Urgency.STANDARD, "small"),
            {"lane": "[defaults]", "urgency": "[defaults]", "model": "[defaults]"},
        ),
        (
            patient("letter", "my attorney", pins=Pins("own", Urgency.RELAXED, "small", by="--urgency")),
            Route("own", Urgency.RELAXED, "small", (), "legal"),
            {"lane": "pinned by --urgency", "urgency": "pinned by --urgency", "model": "pinned by --urgency"},
        ),
    ],
    ids=["attorney letter", "large amount", "VIP survey", "nothing known", "all pinned"],
)
def test_a_manager_s_rules(desk: Triage, who: Patient, expected: Route, by: dict[str, str]) -> None:
    route = desk.assess(who)
    assert Route(**{**_fields(route), "reasons": {}}) == expected
    assert {name: route.reasons[name] for name in by} == by


def _fields(route: Route) -> dict[str, Any]:
    return route._asdict()


def test_an_explanation_is_for_people(desk: Triage) -> None:
    assert explain(desk.assess(patient("letter", "my attorney", tokens=9000))) == [
        'lane: legal   (rule 1 "attorney letters")',
        'urgency: urgent   (rule 1 "attorney letters")',
        'model: strong   (rule 1 "attorney letters")',
        'category: legal   (rule 1 "attorney letters")',
        'complexity: medium   (rule 5 "everything legal is filed")',
        "not small: the request and its answer are longer than its window of 8,000 tokens",
    ]


# as things stand ------------------------------------------------------------------------------------------------------
def test_conditions_see_what_the_task_would_get_as_things_stand() -> None:
    rules = [
        {"when": {"urgency": "standard", "lane": "general", "model": "small"}, "category": "ordinary"},
        {"when": {"urgency": "relaxed"}, "category": "patient"},
        {"when": {"category": "ordinary"}, "lane": "front"},
        {"when": {"lane": "front"}, "complexity": "low"},
    ]
    nurse = triage({"rules": rules, "types": {"survey": {"urgency": "relaxed"}}})
    assert nurse.assess(patient()).complexity == "low"
    assert nurse.assess(patient("survey")).category == "patient"
    pinned = nurse.assess(patient(pins=Pins(urgency=Urgency.RELAXED)))
    assert (pinned.category, pinned.lane) == ("patient", "general")


def test_an_earlier_rule_keeps_what_it_filled() -> None:
    rules = [{"when": {}, "lane": "first"}, {"when": {}, "lane": "second", "category": "c"}]
    route = triage({"rules": rules}).assess(patient())
    assert (route.lane, route.category, route.reasons["lane"]) == ("first", "c", "rule 1")


# models ---------------------------------------------------------------------------------------------------------------
def test_a_rule_s_model_that_cannot_take_it_gives_way_to_its_fallback() -> None:
    rules = [{"when": {}, "model": "small", "fallbacks": ["strong"]}]
    route = triage({"rules": rules}).assess(patient(tokens=5000))
    assert (route.model, route.fallbacks) == ("strong", ())
    assert route.reasons["model"].startswith("rule 1 (instead of small: ")
    assert "not small" in route.reasons


def test_a_rule_with_no_model_that_fits_leaves_it_open() -> None:
    rules = [{"when": {}, "model": "small", "lane": "l"}, {"when": {}, "model": "strong"}]
    route = triage({"rules": rules}).assess(patient(unsupported_by=frozenset({"small"})))
    assert (route.model, route.reasons["model"]) == ("strong", "rule 2")
    assert (route.lane, route.reasons["not small"]) == ("l", "it does not take this request's format")


def test_fallbacks_that_cannot_take_it_are_left_out() -> None:
    rules = [{"when": {}, "model": "strong", "fallbacks": ["small", "strong"]}]
    assert triage({"rules": rules}).assess(patient(tokens=5000)).fallbacks == ()
    assert triage({"rules": rules}).assess(patient()).fallbacks == ("small",)


def test_fallbacks_belong_to_the_model_they_were_named_with() -> None:
    rules = [{"when": {}, "model": "small"}, {"when": {}, "model": "strong", "fallbacks": ["small"]}]
    assert triage({"rules": rules}).assess(patient()).fallbacks == ()
    only = [{"when": {}, "fallbacks": ["small", "strong"]}]
    assert triage({"rules": only}).assess(patient()).fallbacks == ("strong",)
    assert triage({"rules": only}).assess(patient(pins=Pins(model="small"))).fallbacks == ()
    own = {"defaults": {"model": "small", "fallbacks": ["strong"]}}
    assert triage(own).assess(patient()).fallbacks == ("strong",)


def test_another_filter_can_be_given() -> None:
    nurse = triage(
        {"defaults": {"model": "small", "fallbacks": ["strong"]}},
        fits=lambda model, who: "no tools" if model == "small" and "tools" in who.tags else None,
    )
    assert nurse.assess(patient()).model == "small"
    assert nurse.assess(patient(tags=("tools",))).reasons["not small"] == "no tools"


def test_a_pinned_model_is_refused_only_when_it_surely_cannot() -> None:
    nurse = triage()
    assert nurse.assess(patient(tokens=1500, pins=Pins(model="small"))).model == "small"  # an estimate may be off
    with pytest.raises(InputError, match=r"model small, pinned by --model: .* longer than its window of 1,000"):
        nurse.assess(patient(tokens=2500, pins=Pins(model="small", by="--model")))


def test_the_only_model_is_the_safe_one() -> None:
    one = {"accounts": {"a": {}}, "models": {"m": {"account": "a", "id": "x"}}}
    route = Triage(Config.model_validate(one)).assess(patient())
    assert (route.model, route.reasons["model"]) == ("m", "the only model")


def test_where_nothing_says_which_model_the_request_s_own_is_taken() -> None:
    nurse = triage({"defaults": {}})
    route = nurse.assess(patient(pins=Pins(asked="strong")))
    assert (route.model, route.reasons["model"]) == ("strong", "the request asks for it")
    by_id = {name: model.id for name, model in nurse.filters.config.models.items()}["strong"]
    assert nurse.assess(patient(pins=Pins(asked=by_id))).model == "strong", "by the provider's id too"
    with pytest.raises(InputError, match="nothing says which model"):
        nurse.assess(patient(pins=Pins(asked="unknown")))
    assert Triage(Config()).assess(patient(pins=Pins(asked="any-id"))).model == "any-id"
    assert triage().assess(patient(pins=Pins(asked="strong"))).model == "small", "[defaults] says which"
    assert triage().assess(patient(tokens=5000, pins=Pins(asked="strong"))).model == "strong", "the default cannot"


def test_no_model_at_all_says_what_to_set() -> None:
    with pytest.raises(InputError, match="nothing says which model") as caught:
        triage({"defaults": {}}).assess(patient())
    assert "[defaults]" in caught.value.hint


def test_no_model_that_fits_says_which_would() -> None:
    with pytest.raises(InputError, match="small: the request and its answer are longer") as caught:
        triage().assess(patient(tokens=5000))
    assert caught.value.hint.startswith("strong could")


def test_a_python_task_gets_a_lane_and_an_urgency_but_no_model() -> None:
    rules = [{"when": {"type": "review"}, "lane": "legal", "model": "strong", "fallbacks": ["small"]}]
    route = triage({"rules": rules, "defaults": {}}).assess(patient("review", needs_model=False))
    assert (route.lane, route.model, route.fallbacks) == ("legal", "", ())
    assert "model: (chosen by the task itself)" in explain(route)


# functions ------------------------------------------------------------------------------------------------------------
def test_functions_are_asked_after_the_config_s_rules() -> None:
    def by_length(who: Patient) -> Mapping[str, Any] | None:
        return {"lane": "long", "urgency": "relaxed", "complexity": "high"} if len(who.text) > 5 else None

    nurse = triage({"rules": [{"when": {"type": "a"}, "lane": "a"}]}, functions={"by_length": by_length})
    assert decided(nurse.assess(patient(text="a long text"))) == ("long", "relaxed", "small")
    assert nurse.assess(patient(text="a long text")).reasons["lane"] == "rule by_length()"
    assert nurse.assess(patient("a", "a long text")).lane == "a"
    assert nurse.assess(patient(text="short")).lane == "general"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ZeroDivisionError("oops"), r"rule bad\(\) raised ZeroDivisionError for the task 't-9': oops"),
        ("legal", "returned str for the task 't-9'"),
        ({"lanes": "x"}, "fills 'lanes'"),
        ({"lane": ""}, "lane is ''"),
        ({"lane": 5}, "lane is 5"),
        ({"urgency": "soon"}, "'soon' is not an urgency"),
        ({"model": "huge"}, "no model 'huge'"),
        ({"fallbacks": "small"}, "fallbacks are a list"),
        ({"complexity": "very"}, "complexity is 'very'"),
    ],
)
def test_a_function_s_mistake_is_told_by_name(answer: object, said: str) -> None:
    def bad(who: Patient) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    nurse = triage(functions={"bad": bad}, models=["small", "strong"])
    with pytest.raises(InputError, match=said) as caught:
        nurse.assess(patient(key="t-9"))
    assert caught.value.hint


def test_an_async_rule_is_refused() -> None:
    async def slow(who: Patient) -> None:
        await asyncio.sleep(0)

    with pytest.raises(ConfigError, match="not an async one"):
        triage(functions={"slow": slow})


def test_a_function_named_in_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "our_triage_rules.py").write_text("def route(p):\n    return {'lane': p.type} if p.text else None\n")
    (tmp_path / "laneway.toml").write_text(
        '[defaults]\nmodel = "m"\n[[rules]]\nfunction = "our_triage_rules:route"\ncategory = "seen"\n'
    )
    nurse = Triage(load(env={}, cwd=tmp_path))
    assert nurse.assess(patient("x")).reasons["lane"] == "rule 1"
    assert (nurse.assess(patient("x")).lane, nurse.assess(patient("x")).category) == ("x", "seen")
    assert nurse.assess(patient("x", text="")).category is None


@pytest.mark.parametrize("reference", ["nowhere_at_all:x", "json:nothing", "json", ":", "json:__doc__"])
def test_a_function_that_cannot_be_loaded(reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ConfigError, match="rule 1"):
        triage({"rules": [{"function": reference, "lane": "x"}]})


def test_all_wrong_rules_are_told_at_once() -> None:
    rules = [{"when": {"text": "/(/"}, "lane": "x"}, {"name": "big", "when": {"tokens": ">x"}, "lane": "x"}]
    with pytest.raises(ConfigError, match=r'rule 1: text: .*; rule 2 "big": tokens: '):
        triage({"rules": rules})


# housekeeping ---------------------------------------------------------------------------------------------------------
def test_equal_routes_are_one_object() -> None:
    nurse = triage({"rules": [{"when": {"type": "a"}, "lane": "a"}]})
    one, same, other = nurse.assess_many([patient("a"), patient("a", "another text"), patient("b")])
    assert one is same
    assert one is not other


def test_a_rule_that_looks_at_no_record_s_field_is_told() -> None:
    rules = [
        {"name": "typo", "when": {"tpye": "a"}, "lane": "a"},
        {"when": {"customer": {"tier": "gold"}}, "lane": "b"},
        {"when": {"amount": ">5"}, "lane": "c"},
    ]
    nurse = triage({"rules": rules})
    assert nurse.unused() == []  # nothing has been looked at yet
    nurse.assess(patient(fields={"amount": 1, "customer": {"name": "Jo"}}))
    assert nurse.unused() == [
        ('rule 1 "typo"', "it looks at tpye, which no record has (did you mean type?)"),
        ("rule 2", "it looks at customer.tier, which no record has"),
    ]
    nurse.assess(patient(fields={"customer": {"tier": "silver"}}))
    assert [rule for rule, _ in nurse.unused()] == ['rule 1 "typo"']


def test_words_for_an_urgency() -> None:
    nurse = triage({"urgency": {"urgent": {"aliases": ["P1"]}}})
    assert nurse.urgency_of("p1") is Urgency.URGENT
    with pytest.raises(InputError, match="immediate, urgent, standard, relaxed"):
        nurse.urgency_of("soon")


def test_ten_rules_cost_little() -> None:
    rules = [{"when": {"type": f"t{n}", "text": "/attorney|lawyer/", "n": ">5"}, "lane": "x"} for n in range(10)]
    nurse = triage({"rules": rules})
    crowd = [patient(f"t{n % 10}", "word " * 100, fields={"n": n}) for n in range(2000)]
    best = min(_seconds(nurse, crowd) for _ in range(3))
    assert best / len(crowd) < 0.0005  # ten times the aim of 0.05 ms: only a change of order should fail here


def _seconds(nurse: Triage, crowd: list[Patient]) -> float:
    began = time.perf_counter()
    nurse.assess_many(crowd)
    return time.perf_counter() - began
