"""Texts as TF-IDF rows over a vocabulary, and what a row comes to under weights. No scikit-learn.

Terms are words, pairs of words and characters inside words, those that the vocabulary has; the weight of a term is
(1 + ln count) · idf, and each row has length 1, as scikit-learn's TfidfVectorizer has it with ``sublinear_tf``.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from laneway.triage.learned.texts import grams, pairs, words

Floats = NDArray[np.float32]
MOST_REMEMBERED = 100_000  # words whose terms are kept at hand: texts repeat their words
AT_ONCE = 64  # texts: with more, sorting their terms takes longer than finding them


class Rows(NamedTuple):
    """A sparse matrix by rows, as in scipy's CSR: row i has the terms ``indices[indptr[i]:indptr[i + 1]]``."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
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
        self._of_word: dict[str, array[int]] = {}

    def rows(self, texts: Sequence[str]) -> Rows:
        """A row for each text; a text without any known term has an empty one."""
        parts = [self._rows(texts[start : start + AT_ONCE]) for start in range(0, len(texts), AT_ONCE)]
        if len(parts) == 1:
            return parts[0]
        lengths = [np.diff(one.indptr) for one in parts] or [np.zeros(0, np.int64)]
        indices = [one.indices for one in parts] or [np.zeros(0, np.int32)]
        values = [one.values for one in parts] or [np.zeros(0, np.float32)]
        indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        return Rows(indptr, np.concatenate(indices), np.concatenate(values))

    def _rows(self, texts: Sequence[str]) -> Rows:
        flat = array("i")
        lengths = []
        for text in texts:
            before = len(flat)
            self._add(text, flat)
            lengths.append(len(flat) - before)
        return self._weighed(np.frombuffer(flat, np.int32), np.array(lengths, np.int64))

    def _add(self, text: str, flat: array[int]) -> None:
        """All known terms of a text, as often as they stand there."""
        known, pair_at = self._of_word.get, self._index.get
        of_text = words(text)
        for word in of_text:
            own = known(word)
            flat.extend(own if own is not None else self._remember(word))
        flat.extend(at for pair in pairs(of_text) if (at := pair_at(pair)) is not None)

    def _remember(self, word: str) -> array[int]:
        if len(self._of_word) >= MOST_REMEMBERED:
            self._of_word.clear()
        own = array("i", (self._index[term] for term in (word, *grams(word)) if term in self._index))
        self._of_word[word] = own
        return own

    def _weighed(self, flat: NDArray[np.int32], lengths: NDArray[np.int64]) -> Rows:
        size = max(1, len(self.terms))
        narrow: Any = np.int32 if len(lengths) * size < 2**31 else np.int64  # sorts twice as fast
        key, count = np.unique(
            np.repeat((np.arange(len(lengths)) * size).astype(narrow), lengths) + flat, return_counts=True
        )
        row, indices = np.divmod(key, narrow(size))
        values = ((1.0 + np.log(count)) * self.idf[indices]).astype(np.float32)
        squares = np.bincount(row, values * values, len(lengths))
        values /= np.sqrt(squares)[row].astype(np.float32)
        indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(lengths)))])
        return Rows(indptr, indices.astype(np.int32), values)


def terms_of(text: str) -> set[str]:
    """All terms of a text, for making a vocabulary."""
    of_text = words(text)
    found = set(of_text)
    for word in tuple(found):
        found.update(grams(word))
    found.update(pairs(of_text))
    return found
