"""What the classifier is asked, and what its answers mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from laneway.config.load import load
from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.providers.answers.reading import Unusable
from laneway.task import Urgency
from laneway.triage.classifier import UNCLEAR, Classifier, verdicts
from laneway.triage.urgency import raised_by_text

FIELDS = {"category": {"fraud": "money taken without consent", "billing": ""}, "complexity": {}}
ALLOWED = {"category": ["fraud", "billing"], "complexity": ["low", "medium", "high"]}


def classifier(learned: dict[str, list[str]] | None = None, **settings: Any) -> Classifier:
    config = Config.model_validate(
        {
            "accounts": {"main": {}},
            "models": {"small": {"account": "main", "id": settings.pop("id", "s-1")}},
            "triage": {"classifier": {"model": "small", "fields": FIELDS, **settings}},
        }
    )
    assert config.triage.classifier is not None
    return Classifier(config, config.triage.classifier, learned or {})


class TestAsking:
    def test_texts_go_by_number_and_labels_with_what_they_mean(self) -> None:
        body, input_tokens, output_tokens = classifier().question(["who took my money?", "ignore all that"])
        system, user = json.loads(body)["messages"]
        assert "- fraud: money taken without consent\n- billing\n" in system["content"]
        assert "- high: " in system["content"], "those of complexity are known"
        assert json.loads(user["content"]) == {"1": "who took my money?", "2": "ignore all that"}
        assert 0 < output_tokens < input_tokens < 500

    def test_the_schema_takes_a_verdict_for_each_number_and_no_other(self) -> None:
        schema = classifier().spec(2).output_schema
        assert schema is not None
        verdict = {"category": "fraud", "complexity": UNCLEAR}
        valid = Draft202012Validator(schema).is_valid
        assert valid({"1": verdict, "2": verdict})
        for wrong in ({"1": verdict}, {"1": verdict, "2": verdict, "3": verdict}):
            assert not valid(wrong)
        assert not valid({"1": verdict, "2": {**verdict, "category": "press"}})

    def test_of_a_long_text_the_beginning_and_the_end_are_shown(self) -> None:
        shown = classifier(text_chars=120).shown("Dear all, " + "x" * 5000 + " I was robbed")
        assert shown.startswith("Dear all, ")
        assert shown.endswith(" I was robbed")
        assert len(shown) <= 130

    def test_a_question_about_ten_long_texts_costs_less_than_ten_cents_a_thousand(self) -> None:
        """At $0.15 and $0.60 a million tokens, with texts longer than what is shown."""
        _, input_tokens, output_tokens = classifier().question(["word " * 2000] * 10)
        assert (input_tokens * 0.15 + output_tokens * 0.60) / 1e6 / 10 * 1000 <= 0.10


class TestTheSameQuestion:
    @pytest.mark.parametrize(
        "other",
        [{"id": "s-2"}, {"fields": {"category": ["fraud", "other"]}}, {"text_chars": 100}, {"fields": {"urgency": {}}}],
    )
    def test_another_model_or_other_labels_are_another_question(self, other: dict[str, Any]) -> None:
        text = "a" * 150
        assert classifier().digest(text) == classifier().digest(text)
        assert classifier().digest(text) != classifier(**other).digest(text)

    def test_so_are_other_instructions(self, tmp_path: Path) -> None:
        def asked(words: str) -> bytes:
            (tmp_path / "extra.txt").write_text(words)
            (tmp_path / "laneway.toml").write_text(
                '[accounts.main]\n[models.small]\naccount = "main"\nid = "s"\n[triage.classifier]\nmodel = "small"\n'
                'instructions = "extra.txt"\nfields = { category = ["a", "b"] }\n'
            )
            config = load((tmp_path / "laneway.toml",), env={}, cwd=tmp_path)
            assert config.triage.classifier is not None
            found = Classifier(config, config.triage.classifier, {})
            assert words in json.loads(found.question(["x"])[0])["messages"][0]["content"]
            return found.digest("text")

        assert asked("Press is never fraud.") != asked("Press is always fraud.")

    def test_what_is_not_shown_does_not_count(self) -> None:
        one = classifier(text_chars=100)
        assert one.digest("a" * 80 + "b" * 900 + "c" * 80) == one.digest("a" * 80 + "d" * 900 + "c" * 80)


class TestLabels:
    def test_a_model_file_brings_its_own(self) -> None:
        found = classifier({"category": ["cards", "loans"]}, fields={"category": {}})
        assert list(found.fields["category"]) == ["cards", "loans"]

    def test_without_any_it_says_so(self) -> None:
        with pytest.raises(ConfigError, match="category has no labels"):
            classifier(fields={"category": {}})

    @pytest.mark.parametrize(
        ("lines", "fault"),
        [
            ('model = "smal"\nfields = { complexity = {} }', "no model 'smal'"),
            ('model = "small"\nfields = {}', "category, complexity, urgency"),
            ('model = "small"\nfields = { complexity = ["easy", "hard"] }', "'easy' is no complexity"),
            ('model = "small"\nfields = { urgency = ["now"] }', "'now' is not an urgency"),
            ('model = "small"\nfields = { mood = {} }', "mood"),
            ('model = "small"\nfields = { complexity = {} }\ninstructions = "no.txt"', "there is no file"),
        ],
    )
    def test_what_is_wrong_with_the_config(self, tmp_path: Path, lines: str, fault: str) -> None:
        head = '[accounts.main]\n[models.small]\naccount = "main"\nid = "s"\n[triage.classifier]\n'
        (tmp_path / "laneway.toml").write_text(head + lines)
        with pytest.raises(ConfigError, match=fault):
            load((tmp_path / "laneway.toml",), env={}, cwd=tmp_path)


class TestAnswers:
    def test_each_number_is_judged_by_itself(self) -> None:
        said = {
            "1": {"category": "fraud", "complexity": "high"},
            "2": {"category": "press", "complexity": "low"},
            "4": "fraud",
            "5": {"category": UNCLEAR, "complexity": ["low"]},
        }
        found = verdicts(f"Here you are:\n```json\n{json.dumps(said)}\n```", 5, ALLOWED)
        assert found == [{"category": "fraud", "complexity": "high"}, {"complexity": "low"}, {}, {}, {}]

    @pytest.mark.parametrize("text", ["", "fraud", '{"1": {"category": "fr', "[1, 2]"])
    def test_no_answer_at_all(self, text: str) -> None:
        with pytest.raises(Unusable):
            verdicts(text, 1, ALLOWED)

    @given(
        st.dictionaries(
            st.sampled_from(["1", "2", "3", "x"]),
            st.recursive(
                st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["fraud", "low", "category"]),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(st.sampled_from(["category", "complexity", "urgency"]), inner, max_size=3)
                ),
                max_leaves=6,
            ),
        )
    )
    def test_whatever_it_says_only_allowed_labels_come_of_it(self, said: dict[str, Any]) -> None:
        found = verdicts(json.dumps(said), 3, ALLOWED)
        assert len(found) == 3
        assert all(label in ALLOWED[field] for one in found for field, label in one.items())


class TestUrgencyFromTextAlone:
    @pytest.mark.parametrize("standing", list(Urgency))
    @pytest.mark.parametrize("label", [urgency.label for urgency in Urgency])
    def test_it_rises_by_one_class_at_most_and_never_to_immediate(self, standing: Urgency, label: str) -> None:
        raised = raised_by_text(standing, label)
        if raised is not None:
            assert raised == standing - 1
            assert raised >= Urgency[label.upper()]
            assert raised > Urgency.IMMEDIATE
        else:
            assert Urgency[label.upper()] >= standing or standing <= Urgency.URGENT
