"""Texts → the student's input activations h0, for every kind of text encoder."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import Bundle, EncoderInfo
from understudy.bundle.sessions import Network
from understudy.bundle.text_encoder import open_text_encoder
from understudy.engine.errors import BundleMismatchError
from understudy.graph.hashing import HashedTexts, HashingOptions, TextHasher

# One run gathers at most this many rows of the embedding bag: 32 MiB at width 256 and float32.
MAX_BUCKETS_A_RUN = 32_768


# Texts → embeddings, float32 [B, dimension].
Encode = Callable[[Sequence[str]], NDArray[np.float32]]


class TextInput(Protocol):
    """Texts → h0, float32 [B, hidden]; each row depends on its own text only."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class EmbeddedInput:
    """A transformer's embeddings, then the student's input network."""

    def __init__(self, encoder: Encode, network: Network) -> None:
        self.encoder = encoder
        self.network = network

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.network({"x": self.encoder(texts)})


class HashedInput:
    """Hashed n-grams, then the student's embedding bag; no transformer."""

    def __init__(self, hasher: TextHasher, network: Network) -> None:
        self.hasher = hasher
        self.network = network

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        hashed = self.hasher(texts)
        order = np.argsort(np.diff(hashed.indptr), kind="stable")
        pieces = [self.run(rows_of(hashed, rows)) for rows in similar_lengths(hashed, order)]
        if len(pieces) == 1 and len(texts) == 1:
            return pieces[0]
        rows = np.concatenate(pieces)
        result = np.empty_like(rows)
        result[order] = rows
        return result

    def run(self, hashed: HashedTexts) -> NDArray[np.float32]:
        buckets, weights = hashed.padded()
        return self.network({"buckets": buckets, "weights": weights})


def similar_lengths(hashed: HashedTexts, order: NDArray[np.int64]) -> list[list[int]]:
    """Cuts texts, sorted by length, into batches of at most MAX_BUCKETS_A_RUN after padding."""
    lengths = np.diff(hashed.indptr)
    result: list[list[int]] = []
    for row in order.tolist():
        if not result or (len(result[-1]) + 1) * int(lengths[row]) > MAX_BUCKETS_A_RUN:
            result.append([])
        result[-1].append(row)
    return result


def rows_of(hashed: HashedTexts, rows: Sequence[int]) -> HashedTexts:
    """Selects texts, in the order of `rows`."""
    if len(rows) == len(hashed) == 1:
        return hashed
    return hashed.rows(np.asarray(rows))


def open_input(bundle: Bundle, network: Network, threads: int, provider: str) -> TextInput:
    """Opens the text encoder that the bundle names, followed by the student's input network.

    Raises:
        BundleMismatchError: this release does not have the encoder.
    """
    info = bundle.manifest.encoder
    if info.kind == "minilm":
        encoder = open_text_encoder(bundle, info, threads, provider)
        return EmbeddedInput(encoder, network)
    if info.kind == "hashing":
        return HashedInput(TextHasher(hashing_options(info)), network)
    raise BundleMismatchError(f"this release has no text encoder of the kind {info.kind!r}")


def hashing_options(info: EncoderInfo) -> HashingOptions:
    options = HashingOptions(
        buckets=info.dimension,
        word_ngrams=info.word_ngrams,
        character_ngrams=info.character_ngrams,
        max_characters=info.max_characters,
    )
    if options.digest != info.digest:
        raise BundleMismatchError(
            "the bundle's student was trained with a different hashing of texts; export it again "
            "with this release, or serve it with the release that trained it"
        )
    return options
