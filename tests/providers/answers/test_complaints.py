"""What a model is told of its last answer."""

from __future__ import annotations

from laneway.providers.answers.complaints import LONGEST_ANSWER, Complaint, shown_to


def test_it_survives_the_store_and_counts_for_each_model() -> None:
    first = Complaint.about("small", "schema", "at $.a: no", "{}", None)
    kept = Complaint.from_text(first.to_text())
    assert kept == first
    assert Complaint.about("small", "schema", "again", "{}", kept).times == 2
    assert Complaint.about("strong", "schema", "again", "{}", kept).times == 1
    assert Complaint.from_text(None) is None


def test_a_text_of_an_earlier_version_is_still_shown() -> None:
    kept = Complaint.from_text("the answer is not JSON")
    assert kept is not None
    assert "the answer is not JSON" in kept.turns()[0]["content"]
    assert shown_to(kept, "any") is kept


def test_it_is_bounded_and_shows_beginning_and_end() -> None:
    made = Complaint.about("small", "not_json", "f" * 5000, "begin" + "x" * 50_000 + "end", None)
    assert len(made.answer) < LONGEST_ANSWER + 50
    assert made.answer.startswith("begin")
    assert made.answer.endswith("end")
    assert sum(len(turn["content"]) for turn in made.turns()) < 3300


def test_the_next_model_of_a_route_begins_afresh() -> None:
    made = Complaint("small", "schema", "no", "{}")
    assert shown_to(made, "small") is made
    assert shown_to(made, "strong") is None


def test_a_cut_answer_is_asked_for_more_briefly() -> None:
    assert "more briefly" in Complaint("small", "truncated", "cut off", "{").turns()[-1]["content"]
