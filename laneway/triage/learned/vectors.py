"""Texts as TF-IDF rows over a vocabulary, and what a row comes to under weights. No scikit-learn.

Terms are words, pairs of words and characters inside words, those that the vocabulary has; the weight of a term is
(1 + ln count) · idf, and each row has length 1, as scikit-learn's TfidfVectorizer has it with ``sublinear_tf``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.triage.learned.texts import grams, pairs, words

Floats = NDArray[np.float32]
MOST_REMEMBERED = 100_000  # words whose terms are kept at hand: texts repeat their words


class Rows(NamedTuple):
    """A sparse matrix by rows, as in scipy's CSR: row i has the terms ``indices[indptr[i]:indptr[i + 1]]``."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int64]
    values: Floats

    def times(self, weights: Floats) -> Floats:
        """(rows, terms) · (terms, k) → (rows, k)"""
        if not len(self.indices):
            return np.zeros((len(self.indptr) - 1, weights.shape[1]), np.float32)
        parts = weights[self.indices] * self.values[:, None]
        filled = self.indptr[:-1] < self.indptr[1:]  # reduceat gives an empty row the next one's first part
        found = np.zeros((len(filled), weights.shape[1]), np.float32)
        found[filled] = np.add.reduceat(parts, self.indptr[:-1][filled], axis=0)
        return found


class Vocabulary:
    """``terms`` as ``terms_of`` gives them; ``idf`` beside each."""

    def __init__(self, terms: Sequence[str], idf: Floats) -> None:
        self.terms = terms
        self.idf = idf
        self._index = {term: index for index, term in enumerate(terms)}
        self._of_word: dict[str, tuple[int, ...]] = {}

    def rows(self, texts: Iterable[str]) -> Rows:
        """A row for each text; a text without any known term has an empty one."""
        flat: list[int] = []
        lengths = []
        for text in texts:
            of_text = self._indices(text)
            flat += of_text
            lengths.append(len(of_text))
        return self._weighed(np.array(flat, np.int64), np.array(lengths, np.int64))

    def _indices(self, text: str) -> list[int]:
        """Of all known terms of a text, as often as they stand there."""
        found: list[int] = []
        known, index = self._of_word, self._index
        of_text = words(text)
        for word in of_text:
            own = known.get(word)
            found += own if own is not None else self._remember(word)
        found += [index[pair] for pair in pairs(of_text) if pair in index]
        return found

    def _remember(self, word: str) -> tuple[int, ...]:
        if len(self._of_word) >= MOST_REMEMBERED:
            self._of_word.clear()
        own = self._of_word[word] = tuple(self._index[term] for term in (word, *grams(word)) if term in self._index)
        return own

    def _weighed(self, flat: NDArray[np.int64], lengths: NDArray[np.int64]) -> Rows:
        row = np.repeat(np.arange(len(lengths)), lengths)
        size = max(1, len(self.terms))
        key, count = np.unique(row * size + flat, return_counts=True)
        row, indices = key // size, key % size
        values = ((1.0 + np.log(count)) * self.idf[indices]).astype(np.float32)
        squares = np.bincount(row, values * values, len(lengths))
        values /= np.sqrt(squares)[row].astype(np.float32)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(row, minlength=len(lengths)))))
        return Rows(indptr, indices, values)


def terms_of(text: str) -> set[str]:
    """All terms of a text, for making a vocabulary."""
    of_text = words(text)
    found = set(of_text)
    for word in tuple(found):
        found.update(grams(word))
    found.update(pairs(of_text))
    return found
