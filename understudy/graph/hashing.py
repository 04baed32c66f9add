"""Texts as hashed n-grams: the transformer-free encoder, the same in training and in service.

Words and word pairs, and character 3- to 5-grams within word boundaries, are hashed with
MurmurHash3 into a fixed number of buckets (scikit-learn's tokenisation and hasher). A text becomes
a sparse unit vector of log-scaled counts; the student's embedding bag turns it into a dense one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEME = "murmur3-log-unit/1"


@dataclass(frozen=True)
class HashingOptions:
    """What a hashed text depends on, besides the text."""

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
    """Sparse unit vectors, one a text; rows are ragged.

    Shapes:
        indptr: int64 [B + 1]; text i is `buckets[indptr[i] : indptr[i + 1]]`
        buckets: int32 [nnz], sorted within a text
        weights: float32 [nnz], positive, of unit Euclidean norm a text
    """

    indptr: NDArray[np.int64]
    buckets: NDArray[np.int32]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def rows(self, texts: NDArray[np.int64]) -> "HashedTexts":
        """Some of the texts, in the order of their positions [B']."""
        starts = self.indptr[texts]
        lengths = self.indptr[texts + 1] - starts
        indptr = np.zeros(len(texts) + 1, dtype=np.int64)
        np.cumsum(lengths, out=indptr[1:])
        positions = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
        return HashedTexts(indptr, self.buckets[positions], self.weights[positions])

    def padded(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Buckets and weights, each [B, K]; padding has bucket 0 and weight 0. K is at least 1."""
        lengths = np.diff(self.indptr)
        filled = np.arange(max(int(lengths.max(initial=1)), 1)) < lengths[:, None]
        buckets = np.zeros(filled.shape, dtype=np.int64)
        weights = np.zeros(filled.shape, dtype=np.float32)
        buckets[filled], weights[filled] = self.buckets, self.weights
        return buckets, weights


class TextHasher:
    """Hashes texts; safe to share between threads."""

    def __init__(self, options: HashingOptions) -> None:
        self.options = options

    @cached_property
    def analyzers(self) -> tuple:  # type: ignore[type-arg]
        # Loading scikit-learn takes longer than loading a bundle that does not need it.
        from sklearn.feature_extraction.text import HashingVectorizer

        words = HashingVectorizer(ngram_range=self.options.word_ngrams)
        characters = HashingVectorizer(
            analyzer="char_wb", ngram_range=self.options.character_ngrams
        )
        return words.build_analyzer(), characters.build_analyzer()

    @cached_property
    def hasher(self) -> Any:
        from sklearn.feature_extraction import FeatureHasher

        return FeatureHasher(
            n_features=self.options.buckets,
            input_type="string",
            alternate_sign=False,
            dtype=np.float32,
        )

    def grams(self, text: str) -> list[str]:
        text = text[: self.options.max_characters]
        words, characters = self.analyzers
        # A character gram is marked, so that the word "net" and the gram "net" differ.
        return [*words(text), *("\x1f" + gram for gram in characters(text))]

    @cached_property
    def murmur(self) -> Callable[[str], int]:
        from sklearn.utils import murmurhash3_32

        return murmurhash3_32  # type: ignore[no-any-return]

    def __call__(self, texts: Sequence[str]) -> HashedTexts:
        if len(texts) == 1:
            return self.hash_one(texts[0])
        counts = self.hasher.transform(self.grams(text) for text in texts)
        return unit_rows(counts.indptr.astype(np.int64), counts.indices, counts.data)

    def hash_one(self, text: str) -> HashedTexts:
        """The same for one text, without the cost of a sparse matrix: a request has one."""
        size, murmur = self.options.buckets, self.murmur
        counts = Counter([abs(murmur(gram)) % size for gram in self.grams(text)])
        buckets = np.fromiter(counts, np.int32, len(counts))
        order = np.argsort(buckets)
        values = np.fromiter(counts.values(), np.float32, len(counts))
        return unit_rows(np.array([0, len(counts)]), buckets[order], values[order])


def unit_rows(
    indptr: NDArray[np.int64], buckets: NDArray[np.integer], counts: NDArray[np.float32]
) -> HashedTexts:
    """Logarithms of the counts, each text's divided by their Euclidean norm."""
    weights = np.log1p(counts)
    rows = np.repeat(np.arange(len(indptr) - 1), indptr[1:] - indptr[:-1])
    norms = np.sqrt(np.bincount(rows, weights=weights**2, minlength=len(indptr) - 1))
    weights /= norms[rows]
    return HashedTexts(indptr, buckets.astype(np.int32, copy=False), weights)
