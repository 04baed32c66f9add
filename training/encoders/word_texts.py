"""Stores hashed texts as words; n-grams are looked up on demand.

A text's character n-grams are those of its words, and words recur. So each text is stored as one
number per word, and the n-grams of a word are stored once for all texts. Ten million texts then
take a fortieth of the memory of their n-grams, and are hashed ten times faster, with the same
results.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from understudy.graph.arrays import write_array
from understudy.graph.hashing import HashedTexts, HashingOptions, TextHasher, unit_rows
from understudy.graph.ragged import ends, positions

COUNTED_AT_ONCE = 2**20  # texts
TEXTS_A_SORT = 2_048  # whose n-grams are gathered at once


@dataclass(frozen=True, slots=True)
class WordTexts:
    """Texts [N] that can be had as `HashedTexts`, a few at a time.

    Shapes:
        indptr: int64 [N + 1]; text i is `entries[indptr[i] : indptr[i + 1]]`
        entries: int32; below `width` the bucket of a word or a pair of words, from there on
            `width` plus the number of a word, for its n-grams of characters
        word_indptr: int64 [words + 1]
        word_buckets: int32, the n-grams of each word, with repetitions
    """

    indptr: NDArray[np.int64]
    entries: NDArray[np.int32]
    word_indptr: NDArray[np.int64]
    word_buckets: NDArray[np.int32]
    width: int  # number of buckets

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def lengths(self) -> NDArray[np.int64]:
        """int64 [N]: the number of n-grams per text, including repetitions."""
        sizes = np.ones(self.width + len(self.word_indptr) - 1, np.int32)
        sizes[self.width :] = np.diff(self.word_indptr)
        parts = [np.empty(0, np.int64)]
        for start in range(0, len(self), COUNTED_AT_ONCE):
            indptr = self.indptr[start : start + COUNTED_AT_ONCE + 1]
            sums = ends(sizes[self.entries[indptr[0] : indptr[-1]]])
            parts.append(np.diff(sums[indptr - indptr[0]]))
        return np.concatenate(parts)

    def met(self) -> NDArray[np.int32]:
        """The buckets that occur in texts, in any order, with repetitions."""
        return np.concatenate([self.entries[self.entries < self.width], self.word_buckets])

    def rows(self, texts: NDArray[np.int64]) -> HashedTexts:
        """Some of the texts, in the order of their positions [B]."""
        return joined([self.rows_at_once(texts[cut]) for cut in cuts(len(texts))])

    def rows_at_once(self, texts: NDArray[np.int64]) -> HashedTexts:
        """`rows` for few enough texts that their n-grams fit into the CPU's caches."""
        owners, positions = runs(self.indptr, texts)
        entries = self.entries[positions]
        of_word = entries >= self.width
        words, places = runs(self.word_indptr, entries[of_word].astype(np.int64) - self.width)
        # 32-bit numbers, if they suffice, sort twice as fast.
        small = len(texts) * self.width < 2**31
        first: NDArray[np.integer] = owners.astype(np.int32 if small else np.int64)
        first *= self.width  # the smallest key of a text
        own, of_words = entries[~of_word], self.word_buckets[places]
        keys = np.concatenate([first[~of_word] + own, first[of_word][words] + of_words])
        keys.sort()
        starts = np.flatnonzero(np.diff(keys, prepend=keys.dtype.type(-1)))
        counts = np.diff(starts, append=len(keys)).astype(np.float32)
        rows, buckets = np.divmod(keys[starts], self.width)
        indptr = ends(np.bincount(rows, minlength=len(texts)))
        return unit_rows(indptr, buckets, counts)


def cuts(count: int) -> list[slice]:
    """Slices of TEXTS_A_SORT, at least one."""
    starts = range(0, max(count, 1), TEXTS_A_SORT)
    return [slice(start, start + TEXTS_A_SORT) for start in starts]


def joined(parts: Sequence[HashedTexts]) -> HashedTexts:
    """Concatenates the texts of all parts."""
    if len(parts) == 1:
        return parts[0]
    buckets, weights = ([getattr(part, name) for part in parts] for name in ("buckets", "weights"))
    indptr = ends(np.concatenate([part.lengths() for part in parts]))
    return HashedTexts(indptr, np.concatenate(buckets), np.concatenate(weights))


def runs(
    indptr: NDArray[np.int64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each number of the chosen runs: its run (position in `chosen`), and its place."""
    starts = indptr[chosen]
    places = ends(indptr[chosen + 1] - starts)
    owners = np.repeat(np.arange(len(chosen)), np.diff(places))
    return owners, positions(starts, places)


class WordReader:
    """Reads texts in parts into one `WordTexts`."""

    def __init__(self, options: HashingOptions) -> None:
        self.hasher, self.width = TextHasher(options), options.buckets
        self.numbers: dict[str, int] = {}  # of words, in order of first occurrence
        self.lengths: list[NDArray[np.int64]] = []
        self.entries = np.empty(0, np.int32)  # with spare capacity
        self.filled = 0  # number of entries in use
        self.word_lengths: list[int] = []
        self.word_buckets: list[NDArray[np.int32]] = []

    def read(self, texts: Sequence[str]) -> None:
        """Adds further texts.

        Raises:
            UnicodeEncodeError: a text holds a lone surrogate.
        """
        grams: list[str] = []
        words: list[int] = []
        counts: list[tuple[int, int]] = []
        for text in texts:
            own_grams, own_words = self.hasher.parts(text)
            grams += own_grams
            words += map(self.number, own_words)
            counts.append((len(own_grams), len(own_words)))
        of_both = np.array(counts, np.int64).reshape(-1, 2)
        is_word = np.repeat(np.tile([False, True], len(of_both)), of_both.ravel())
        entries = np.empty(len(is_word), np.int32)
        entries[~is_word] = self.hasher.buckets(grams)
        entries[is_word] = np.array(words, np.int64) + self.width
        self.append(entries)
        self.lengths.append(of_both.sum(axis=1))

    def append(self, entries: NDArray[np.int32]) -> None:
        """Appends entries in place; collecting parts would need twice the memory in the end."""
        needed = self.filled + len(entries)
        if needed > len(self.entries):
            self.entries.resize(needed + needed // 4, refcheck=False)
        self.entries[self.filled : needed] = entries
        self.filled = needed

    def number(self, word: str) -> int:
        found = self.numbers.get(word)
        if found is None:
            found = self.numbers[word] = len(self.numbers)
            buckets = self.hasher.hash_word(word)
            self.word_lengths.append(len(buckets))
            self.word_buckets.append(buckets)
        return found

    def texts(self) -> WordTexts:
        """All texts that were read; ends the reading."""
        return WordTexts(
            ends(np.concatenate([np.empty(0, np.int64), *self.lengths])),
            self.entries[: self.filled],
            ends(np.array(self.word_lengths, np.int64)),
            np.concatenate([np.empty(0, np.int32), *self.word_buckets]),
            self.width,
        )


def write_words(stream: BinaryIO, texts: WordTexts) -> None:
    """Writes the four arrays of texts consecutively in .npy format."""
    for array in (texts.indptr, texts.entries, texts.word_indptr, texts.word_buckets):
        write_array(stream, array)


def read_words(stream: BinaryIO, count: int, width: int) -> WordTexts:
    """Reads the output of `write_words`.

    Args:
        count: expected number of texts
        width: number of buckets

    Raises:
        ValueError, EOFError: it is something else, or truncated.
    """
    indptr, entries, word_indptr, word_buckets = (
        np.load(stream, allow_pickle=False) for _ in range(4)
    )
    if not (
        len(indptr) == count + 1
        and indptr[-1] == len(entries)
        and word_indptr[-1] == len(word_buckets)
        and entries.max(initial=0) < width + len(word_indptr) - 1
    ):
        raise ValueError(f"it does not hold {count:,} texts")
    return WordTexts(indptr, entries, word_indptr, word_buckets, width)
