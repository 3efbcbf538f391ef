"""Words, rows and model files: what is learnt from texts, without scikit-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from laneway.triage.learned.texts import HEAD, SHAPE, TAIL, grams, pairs, shape, words
from laneway.triage.learned.vectors import Vocabulary, terms_of

TEXTS = [
    "Invoice #4711 isn't paid, invoice 4712 is.",
    "The printer on floor 3 does not print",
    "",
    "Ärger mit dem Drucker: druckt nicht!",
    "发票没有付款",
    "the the the printer",
    "🖨️ \x00 nothing known",
]


def every_term(text: str) -> list[str]:
    of_text = words(text)
    return [*of_text, *itertools.chain.from_iterable(map(grams, of_text)), *pairs(of_text)]


def vocabulary(texts: list[str]) -> tuple[Vocabulary, TfidfVectorizer]:
    theirs = TfidfVectorizer(analyzer=every_term, sublinear_tf=True).fit(texts)
    terms = theirs.get_feature_names_out().tolist()
    return Vocabulary(terms, theirs.idf_.astype(np.float32)), theirs


class TestWords:
    def test_numbers_keep_their_place_but_not_their_digits(self) -> None:
        assert words("Invoice #4711 isn't paid") == ["invoice", "#", "0000", "isn't", "paid"]

    def test_of_a_long_text_the_beginning_and_the_end_are_read(self) -> None:
        text = "first " + "middle " * 20_000 + "last"
        found = words(text)
        assert (found[0], found[-1]) == ("first", "last")
        assert len(found) <= (HEAD + TAIL) / len("middle ") + 3

    @given(st.text())
    def test_any_text_has_words_and_a_shape(self, text: str) -> None:
        assert terms_of(text) == set(every_term(text))
        numbers = shape(text)
        assert len(numbers) == len(SHAPE)
        assert all(math.isfinite(number) and number >= 0 for number in numbers)


class TestRows:
    def test_they_are_those_of_scikit_learn(self) -> None:
        ours, theirs = vocabulary(TEXTS[:4])
        rows, wanted = ours.rows(TEXTS), theirs.transform(TEXTS)
        dense = np.zeros(wanted.shape)
        for at, (begin, end) in enumerate(itertools.pairwise(rows.indptr)):
            dense[at, rows.indices[begin:end]] = rows.values[begin:end]
        assert dense == pytest.approx(wanted.toarray(), abs=1e-6)

    @given(st.lists(st.sampled_from(TEXTS), max_size=8), st.integers(1, 3))
    def test_times_weights_is_the_product_of_matrices(self, texts: list[str], k: int) -> None:
        ours, theirs = vocabulary(TEXTS[:4])
        weights = np.random.default_rng(k).normal(size=(len(ours.terms), k)).astype(np.float32)
        wanted = theirs.transform(texts) @ weights if texts else np.zeros((0, k))
        assert ours.rows(texts).times(weights) == pytest.approx(wanted, abs=1e-5)

    def test_a_word_seen_before_and_a_new_one_count_alike(self) -> None:
        ours, _ = vocabulary(TEXTS)
        first, again = ours.rows(TEXTS), ours.rows(TEXTS)
        for one, other in ((first.indptr, again.indptr), (first.indices, again.indices), (first.values, again.values)):
            assert np.array_equal(one, other)
