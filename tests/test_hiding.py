"""What is left of an error when its words are hidden."""

from __future__ import annotations

import pytest

from laneway.hiding import reason_without_words, without_words
from laneway.task import Failure, FailureClass


def test_words_go_and_what_kind_of_failure_it_was_stays() -> None:
    hidden = without_words(Failure(FailureClass.REQUEST, "context_length_exceeded", "dear diary is too long", 400, 3.0))
    assert (hidden.cls, hidden.code, hidden.status) == (FailureClass.REQUEST, "context_length_exceeded", 400)
    assert (hidden.message, hidden.retry_after) == ("[hidden] (context_length_exceeded, HTTP 400)", 3.0)
    assert (
        without_words(Failure(FailureClass.OUTPUT, "schema", "'dear diary' is not of type")).message
        == "[hidden] (schema)"
    )


def test_our_own_words_stay_but_not_a_providers_under_the_same_code() -> None:
    ours = Failure(FailureClass.TRANSIENT, "timeout", "no answer within 120 s")
    assert without_words(ours) == ours
    assert "diary" not in without_words(Failure(FailureClass.TRANSIENT, "timeout", "dear diary", 504)).message


def test_a_code_that_is_a_sentence_is_words_too() -> None:
    assert without_words(Failure(FailureClass.REQUEST, "dear diary", "x", 400)).code == "[hidden]"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("its key 'dear diary' came before", "its key [hidden] came before"),
        ("check.j2: TypeError: dear diary", "check.j2: TypeError: [hidden]"),
        ('rule 1 "x" raised Odd for the task 7: dear\ndiary', "rule 1 [hidden] raised Odd for the task 7: [hidden]"),
        ("not JSON: line 3", "not JSON: line 3"),
    ],
)
def test_a_reason_without_what_it_quotes(reason: str, said: str) -> None:
    assert reason_without_words(reason) == said
