"""Hashed n-grams of texts: the encoder without a transformer, the same in training and service.

Words and word pairs, and character 3- to 5-grams within word boundaries, are hashed with
MurmurHash3 into a fixed number of buckets. A text becomes a sparse unit vector of log-scaled
counts; the student's embedding bag turns it into a dense one. The grams and the buckets are those
of scikit-learn's HashingVectorizer, which is too heavy for a service; a test compares the two.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import mmh3
import numpy as np
from numpy.typing import NDArray

from understudy.graph.ragged import ends, positions

SCHEME = "murmur3-log-unit/1"
WORD = re.compile(r"\b\w\w+\b")
MARK = "\x1f"
RECENT_WORDS, LONGEST_RECENT = 2**15, 32  # words kept with their buckets; characters of one
TEXTS_AT_ONCE = 1_024  # whose n-grams are gathered at once, to stay in the CPU's cache


@dataclass(frozen=True)
class HashingOptions:
    """The settings that a text's hash depends on."""

    buckets: int = 2**16
    word_ngrams: tuple[int, int] = (1, 2)
    character_ngrams: tuple[int, int] = (3, 5)
    max_characters: int = 2_000  # the rest of a text is not read

    @property
    def digest(self) -> str:
        """SHA-256 of the scheme and these options."""
        text = json.dumps({"scheme": SCHEME, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class HashedTexts:
    """Sparse unit vectors, one per text; rows are ragged.

    Shapes:
        indptr: int64 [B + 1]; text i is `buckets[indptr[i] : indptr[i + 1]]`
        buckets: int32 [nnz], sorted within a text
        weights: float32 [nnz], positive, of unit Euclidean norm per text
    """

    indptr: NDArray[np.int64]
    buckets: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def lengths(self) -> NDArray[np.int64]:
        """int64 [B]: number of buckets per text."""
        return np.diff(self.indptr)

    def met(self) -> NDArray[np.int32]:
        """The buckets that occur in texts, in any order, with repetitions."""
        return self.buckets

    def rows(self, texts: NDArray[np.int64]) -> "HashedTexts":
        """Some of the texts, in the order of their positions [B']."""
        starts = self.indptr[texts]
        indptr = ends(self.indptr[texts + 1] - starts)
        buckets = np.empty(indptr[-1], self.buckets.dtype)
        weights = np.empty(indptr[-1], self.weights.dtype)
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            cut = indptr[first : first + TEXTS_AT_ONCE + 1]
            own = slice(cut[0], cut[-1])
            taken = positions(starts[first : first + TEXTS_AT_ONCE], cut - cut[0])
            buckets[own], weights[own] = self.buckets.take(taken), self.weights.take(taken)
        return HashedTexts(indptr, buckets, weights)

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Buckets and weights, each [B, K]; padding has bucket 0 and weight 0. K is at least 1."""
        lengths = np.diff(self.indptr)
        filled = np.arange(max(int(lengths.max(initial=1)), 1)) < lengths[:, None]
        buckets = np.zeros(filled.shape, dtype=np.int64)
        weights = np.zeros(filled.shape, dtype=np.float32)
        buckets[filled], weights[filled] = self.buckets, self.weights
        return buckets, weights


class TextHasher:
    """Hashes texts; safe to share between threads. Recent words are not hashed again."""

    def __init__(self, options: HashingOptions) -> None:
        self.options = options
        self.recent = lru_cache(RECENT_WORDS)(self.hash_word)

    def __call__(self, texts: Sequence[str]) -> HashedTexts:
        """Hashes one or more texts independently.

        Raises:
            UnicodeEncodeError: a text holds a lone surrogate.
        """
        rows = [self.counted(text) for text in texts]
        indptr = ends(np.array([len(buckets) for buckets, _ in rows], np.int64))
        buckets, counts = (np.concatenate(part) for part in zip(*rows, strict=True))
        return unit_rows(indptr, buckets, counts)

    def counted(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The buckets of a text's n-grams, ascending, and the count in each.

        Shapes:
            both [K]
        """
        grams, words = self.parts(text)
        parts = [self.buckets(grams), *map(self.of_word, words)]
        counted = np.unique(np.concatenate(parts), return_counts=True)
        return counted[0], counted[1].astype(np.float32)

    def buckets(self, grams: Sequence[str]) -> NDArray[np.int32]:
        """The bucket of each n-gram; int32 [K]."""
        hashes = np.fromiter(map(mmh3.hash, grams), np.int64, len(grams))
        return (np.abs(hashes) % self.options.buckets).astype(np.int32)

    def parts(self, text: str) -> tuple[list[str], list[str]]:
        """A text's word n-grams, and the words that contribute character n-grams."""
        text = text[: self.options.max_characters]
        text.encode()  # mmh3 crashes the process on a surrogate instead of raising an error
        text = text.lower()
        return [*word_grams(WORD.findall(text), *self.options.word_ngrams)], text.split()

    def of_word(self, word: str) -> NDArray[np.int32]:
        """The buckets of a word's character n-grams; int32 [K]."""
        return self.recent(word) if len(word) <= LONGEST_RECENT else self.hash_word(word)

    def hash_word(self, word: str) -> NDArray[np.int32]:
        return self.buckets(list(character_grams(word, *self.options.character_ngrams)))


def word_grams(words: Sequence[str], shortest: int, longest: int) -> Iterator[str]:
    """Runs of `shortest` to `longest` words, joined by spaces."""
    for length in range(shortest, longest + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


def character_grams(word: str, shortest: int, longest: int) -> Iterator[str]:
    """Runs of characters within a word and a space around it.

    Each comes after `MARK`, which distinguishes it from a word such as "net".
    A word that is not longer than a run is one gram, without longer ones.
    """
    padded = f" {word} "
    for length in range(shortest, longest + 1):
        for start in range(max(len(padded) - length + 1, 1)):
            yield MARK + padded[start : start + length]
        if len(padded) <= length:
            break


def unit_rows(
    indptr: NDArray[np.int64], buckets: NDArray[np.integer], counts: NDArray[np.float32]
) -> HashedTexts:
    """The logarithms of the counts, normalised to unit Euclidean norm per text."""
    weights = np.log1p(counts)
    rows = np.repeat(np.arange(len(indptr) - 1), indptr[1:] - indptr[:-1])
    norms = np.sqrt(np.bincount(rows, weights=weights**2, minlength=len(indptr) - 1))
    weights /= norms[rows]
    return HashedTexts(indptr, buckets.astype(np.int32, copy=False), weights)
