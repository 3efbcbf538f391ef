from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from laneway.simulator.answers import embedding, length_of, malformed, say, tokens_in

VERDICT = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "medium", "high"]}, "why": {"type": "string"}},
    "required": ["risk", "why"],
    "additionalProperties": False,
}


@given(st.integers(1, 400), st.text(), st.integers())
def test_plain_text_is_exactly_as_long_as_asked(tokens: int, text: str, seed: int) -> None:
    said = say(seed, text, None, 1.0, tokens, None)
    assert said.tokens == tokens == tokens_in(said.text)
    assert "Simulated answer: "[: 4 * tokens] in said.text
    assert not said.cut_off


def test_the_same_request_is_answered_the_same_and_another_otherwise() -> None:
    assert say(1, "a", None, 1.0, 50, None) == say(1, "a", None, 1.0, 50, None)
    assert len({say(seed, text, None, 1.0, 50, None).text for seed in range(5) for text in "abcd"}) > 15


def test_max_tokens_cuts_the_answer_off() -> None:
    said = say(1, "a", None, 1.0, 50, 10)
    assert (said.tokens, said.cut_off, len(said.text)) == (10, True, 40)
    assert not say(1, "a", None, 1.0, 10, 10).cut_off


def test_json_becomes_terse_before_it_is_cut_off() -> None:
    roomy = say(1, "a", VERDICT, 1.0, 50, 100)
    tight = say(1, "a", VERDICT, 1.0, 50, roomy.tokens - 1)
    assert len(tight.text) < len(roomy.text)
    assert not tight.cut_off
    Draft202012Validator(VERDICT).validate(json.loads(tight.text))
    assert say(1, "a", VERDICT, 1.0, 50, 3).cut_off


def test_quality_is_the_share_of_good_answers_and_better_models_fail_only_where_lesser_do() -> None:
    def poor(quality: float) -> set[int]:
        said = {i: say(0, f"request {i}", None, quality, 20, None).text for i in range(1000)}
        return {i for i, text in said.items() if text.startswith("[uncertain]")}

    small, strong = poor(0.7), poor(0.9)
    assert len(small) == pytest.approx(300, abs=50)
    assert len(strong) == pytest.approx(100, abs=35)
    assert strong < small
    assert not poor(1.0)
    assert len(poor(0.0)) == 1000


def test_a_poor_answer_need_not_say_so_and_a_good_one_may_seem_to() -> None:
    def said(quality: float, marked: float, alarms: float) -> list[tuple[bool, bool]]:
        answers = [say(0, f"request {i}", None, quality, 30, None, marked=marked, alarms=alarms) for i in range(1000)]
        return [(answer.good, answer.text.startswith("[uncertain]")) for answer in answers]

    assert set(said(0.5, 0.0, 0.0)) == {(True, False), (False, False)}
    some = said(0.5, 0.6, 0.1)
    poor, good = [marked for ok, marked in some if not ok], [marked for ok, marked in some if ok]
    assert sum(poor) / len(poor) == pytest.approx(0.6, abs=0.07)
    assert sum(good) / len(good) == pytest.approx(0.1, abs=0.04)
    quiet = say(0, "a", None, 0.0, 30, None, marked=0.0)
    assert quiet.text != say(0, "a", None, 1.0, 30, None).text, "it says other things than a good one"


def test_all_good_answers_agree_and_a_poor_one_is_valid_but_wrong() -> None:
    good = json.loads(say(0, "x", VERDICT, 1.0, 20, None).text)
    poor = json.loads(say(0, "x", VERDICT, 0.0, 20, None).text)
    Draft202012Validator(VERDICT).validate(poor)
    assert poor["risk"] != good["risk"]


def test_a_malformed_answer_is_never_what_the_schema_asked_for() -> None:
    validator = Draft202012Validator(VERDICT)
    said = say(0, "x", VERDICT, 1.0, 20, None)
    parsed = 0
    for way in (0.0, 0.3, 0.6, 0.8, 0.99):
        wrong = malformed(said, VERDICT, way)
        assert wrong.tokens == tokens_in(wrong.text)
        try:
            value = json.loads(wrong.text)
        except ValueError:
            continue
        parsed += 1
        assert not validator.is_valid(value)
    assert parsed, "some are JSON of the wrong shape"
    plain = say(0, "x", None, 1.0, 20, None)
    assert len(malformed(plain, None, 0.9).text) == len(plain.text) // 2


@pytest.mark.parametrize("schema", [{"type": "object", "properties": 5}, {"minItems": "x"}, {"allOf": 3}])
def test_a_schema_that_is_none_is_refused_in_words(schema: object) -> None:
    with pytest.raises(ValueError, match="schema"):
        say(0, "x", schema, 1.0, 20, None)


def test_an_embedding_is_a_unit_vector_that_depends_on_the_text() -> None:
    one, other = embedding(0, "m", "a", 16), embedding(0, "m", "b", 16)
    assert math.hypot(*one) == pytest.approx(1.0, abs=1e-6)
    assert one == embedding(0, "m", "a", 16) != other


def test_lengths_are_the_median_of_a_log_normal_and_hang_on_the_request_alone() -> None:
    lengths = sorted(length_of(1, f"request {i}", 100, 0.5) for i in range(2001))
    assert lengths[1000] == pytest.approx(100, rel=0.05)
    assert sum(lengths) / 2001 == pytest.approx(100 * math.exp(0.125), rel=0.05)
    assert length_of(1, "a", 100, 0.5) == length_of(1, "a", 100, 0.5) != length_of(2, "a", 100, 0.5)
    assert length_of(1, "a", 100, 0) == 100
