"""What a rule's ``when`` matches, what it abstains from, and what it refuses to be."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.task import Urgency
from laneway.triage.conditions import compile_when, fields_named
from laneway.triage.patient import Patient
from laneway.triage.values import LONGEST_SEARCHED, number

CONFIG = Config.model_validate({"urgency": {"urgent": {"aliases": ["high", "P1"]}}})
RECORD = {
    "amount": "12500.50",
    "count": 7,
    "zip": "00501",
    "price": "12,500",
    "vip": "yes",
    "open": True,
    "status": " Open ",
    "empty": "",
    "note": None,
    "labels": ["Red", "green"],
    "customer": {"tier": "Gold", "since": 2019},
    "customer.flat": "x",
    "text": "the field",
    "big": 10**400,
    "odd": float("nan"),
}
PATIENT = Patient(
    type="legal_review",
    text="Please call our Attorney.\nRe: case 17",
    input_tokens=9000,
    tags=("vip", "press"),
    fields=RECORD,
    key="t-1",
    team="claims",
)
STANDING = {"urgency": Urgency.URGENT, "lane": "general", "model": "small", "complexity": "medium"}


def matches(when: dict[str, Any], patient: Patient = PATIENT) -> bool:
    return compile_when(when, CONFIG, 'rule 2 "attorneys"')(patient, STANDING)


@pytest.mark.parametrize(
    "when",
    [
        {},
        {"type": "Legal_Review"},
        {"type": ["other", "legal_review"]},
        {"text": "/attorney/"},
        {"text": "/ATTORNEY|lawyer/"},
        {"text": "/Attorney/c"},
        {"text": r"/^re: case \d+$/m"},
        {"text": "/attorney.*case/s"},
        {"tokens": ">8000"},
        {"tokens": 9000},
        {"tokens": ["<10", ">=9000"]},
        {"chars": "<100"},
        {"tags": "VIP"},
        {"tags": ["none", "press"]},
        {"tags": "!=spam"},
        {"key": "t-1", "team": "claims"},
        {"urgency": "urgent"},
        {"urgency": "p1"},
        {"urgency": ">=standard"},
        {"urgency": "!=relaxed"},
        {"urgency": ["relaxed", "high"]},
        {"complexity": ">=medium"},
        {"lane": "general", "model": "!=strong"},
        {"amount": ">12500"},
        {"amount": 12500.5},
        {"count": "7"},
        {"count": "<=7"},
        {"zip": "00501"},
        {"vip": True},
        {"open": True},
        {"open": "true"},
        {"status": "open"},
        {"status": "!=closed"},
        {"status": "==OPEN"},
        {"empty": ""},
        {"labels": "red"},
        {"labels": ["blue", "green"]},
        {"labels": "/^gre/"},
        {"labels": "!=blue"},
        {"customer.tier": "gold"},
        {"customer": {"tier": "gold", "since": "<2020"}},
        {"customer.flat": "x"},
        {"field.text": "the field"},
        {"field": {"text": "the field"}},
        {"fields": {"text": "/field/", "count": 7}},
        {"type": "legal_review", "urgency": "urgent", "text": "/attorney/", "tokens": ">8000"},
    ],
)
def test_it_matches(when: dict[str, Any]) -> None:
    assert matches(when)


@pytest.mark.parametrize(
    "when",
    [
        {"type": "legal"},
        {"text": "/lawyer/"},
        {"text": "/attorney/c"},
        {"text": "/^re: case/"},
        {"text": "/attorney.*case/"},
        {"tokens": "<=8999"},
        {"tags": "!=vip"},
        {"urgency": "immediate"},
        {"urgency": "<=standard"},
        {"complexity": "high"},
        {"category": "billing"},  # nobody has said it: abstain
        {"category": "!=billing"},
        {"missing": "x"},
        {"missing": "!=x"},
        {"missing": ">0"},
        {"missing": False},
        {"note": "!=x"},
        {"customer.missing": "x"},
        {"customer": "gold"},
        {"customer": "!=gold"},
        {"zip": "501"},
        {"price": ">1"},  # thousands separators are no numbers
        {"status": ">1"},
        {"empty": ">=0"},
        {"vip": False},
        {"labels": "!=red"},
        {"big": ">0"},
        {"odd": "!=1", "count": 8},
        {"text": "the field"},
        {"text": "/attorney/", "tokens": "<1"},
    ],
)
def test_it_does_not_match(when: dict[str, Any]) -> None:
    assert not matches(when)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"text": "/(/"}, r"text: the pattern /\(/ is wrong"),
        ({"text": "/x/q"}, "unknown flags 'q'"),
        ({"path": "/usr/bin"}, "unknown flags 'bin'"),
        ({"tokens": ">many"}, "compares with no number"),
        ({"tokens": "many"}, "compares with no number"),
        ({"chars": [1, "/x/"]}, "compares with no number"),
        ({"amount": ">"}, "nothing stands behind >"),
        ({"amount": "> 5 <9"}, "compares with no number"),
        ({"amount": []}, "an empty list"),
        ({"type": {"a": 1}}, "type is a table"),
        ({"urgency": "soon"}, "'soon' is not an urgency"),
        ({"urgency": 1}, "no condition"),
        ({"complexity": "hard"}, "no complexity"),
        ({"when": None}, "no condition"),
    ],
)
def test_it_is_refused_by_the_rule_s_name(when: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        matches(when)
    assert caught.value.message.startswith('rule 2 "attorneys": ')


def test_fields_named() -> None:
    when = {"type": "x", "amount": 1, "customer": {"tier": 1}, "field": {"text": 1}, "field.x": 1}
    assert fields_named(when) == {"amount", "customer.tier", "text", "x"}


@pytest.mark.parametrize("pattern", ["/needle/", r"/\bneedle\b/"])
def test_patterns_see_the_beginning_of_a_long_text(pattern: str) -> None:
    near = Patient("x", " " * (LONGEST_SEARCHED - 6) + "needle", 1)
    far = Patient("x", " " * LONGEST_SEARCHED + "needle", 1)
    assert matches({"text": pattern}, near)
    assert not matches({"text": pattern}, far)


def test_cheap_conditions_are_asked_before_patterns() -> None:
    slow = {"text": "/(a+)+b/", "type": "other"}  # would take for ever
    began = time.perf_counter()
    assert not matches(slow, Patient("x", "a" * 40, 1))
    assert time.perf_counter() - began < 1


@given(
    st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9),
    st.sampled_from([">", "<", ">=", "<=", "!=", "=="]),
    st.integers(-9, 9),
)
def test_comparisons_agree_with_python_for_numbers_and_their_texts(value: float, sign: str, bound: int) -> None:
    expected = eval(f"value {sign} bound", {"value": float(value), "bound": float(bound)})
    for shown in (value, f" {value!r} "):
        if sign in ("!=", "==") and isinstance(shown, str):
            continue  # texts are compared as texts
        assert matches({"n": f"{sign}{bound}"}, Patient("x", "", 1, fields={"n": shown})) is expected


@given(st.text())
def test_number_is_finite_or_none(text: str) -> None:
    value = number(text)
    assert value is None or value == float(text)


@pytest.mark.parametrize("text", ["1_000", "inf", "nan", "1e9999", "0x10", "١٢", "", "-", "9" * 500])
def test_no_numbers(text: str) -> None:
    assert number(text) is None


any_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(any_value, st.sampled_from(["x", 5, True, ">5", "!=x", "/x/", ["a", 1]]))
def test_no_value_of_a_record_breaks_a_rule(value: Any, wanted: Any) -> None:
    assert matches({"f": wanted}, Patient("x", "", 1, fields={"f": value})) in (True, False)


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_a_config_error(wanted: str) -> None:
    try:
        assert matches({"f": wanted}) is False  # there is no such field
    except ConfigError as error:
        assert error.hint  # noqa: PT017 - either outcome is right
