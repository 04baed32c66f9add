"""Caches text embeddings by encoder and text, so that a transformer encodes a text once.

Our own, because a batch asks for many texts at once and the event loop adds what Redis has.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from service.cache import MALFORMED, Cache
from understudy.bundle import Manifest
from understudy.bundle.text_encoder import TOKENIZER_FILE
from understudy.engine.engine import Engine
from understudy.engine.inputs import EmbeddedInput, Encode
from understudy.engine.requests import UnseenNode

MAX_FRESH = 4_096  # new embeddings that wait to be written to Redis; more are not
NORM_TOLERANCE = 1e-3  # a transformer's rows have unit norm except for rounding


class RememberingEncoder:
    """A text encoder with a memory; runs on the inference thread.

    Before a batch the event loop adds what Redis has, and afterwards takes what is new.
    """

    def __init__(self, encode: Encode, dimension: int, digest: str, entries: int) -> None:
        """Starts empty.

        Args:
            digest: identifies the encoder, so that embeddings of different ones are not mixed.
        """
        self.encode = encode
        self.dimension = dimension
        self.digest = digest
        self.entries = entries
        self.cached: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self.fresh: dict[str, NDArray[np.float32]] = {}
        self.lock = Lock()

    def key(self, text: str) -> str:
        return f"{self.digest[:16]}:{hashlib.sha256(text.encode()).hexdigest()}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes texts like the encoder itself; float32 [B, dimension]."""
        keys = [self.key(text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        with self.lock:
            rows = {key: self.cached[key] for key in text_of if key in self.cached}
            for key in rows:
                self.cached.move_to_end(key)
        missing = [key for key in text_of if key not in rows]
        if missing:
            encoded = self.encode([text_of[key] for key in missing])
            new = {key: row.copy() for key, row in zip(missing, encoded, strict=True)}
            rows.update(new)
            self.add(new)
            with self.lock:
                if len(self.fresh) < MAX_FRESH:
                    self.fresh.update(new)
        return np.stack([rows[key] for key in keys])

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Returns the keys of texts that are not in memory."""
        keys = dict.fromkeys(self.key(text) for text in texts)
        with self.lock:
            return [key for key in keys if key not in self.cached]

    def add(self, rows: dict[str, NDArray[np.float32]]) -> None:
        with self.lock:
            self.cached.update(rows)
            while len(self.cached) > self.entries:
                self.cached.popitem(last=False)

    def take_fresh(self) -> dict[str, NDArray[np.float32]]:
        with self.lock:
            fresh, self.fresh = self.fresh, {}
        return fresh


class EmbeddingCache:
    """Moves embeddings between Redis and the encoders' memory."""

    def __init__(self, cache: Cache, entries: int) -> None:
        """Starts with no encoder attached.

        Args:
            entries: embeddings that each engine keeps in memory.
        """
        self.cache = cache
        self.entries = entries

    def attach(self, engine: Engine) -> None:
        """Adds a memory to an engine's transformer; hashing n-grams is cheaper than a look-up."""
        text_input, manifest = engine.student.text_input, engine.manifest
        if not self.entries or not isinstance(text_input, EmbeddedInput):
            return
        encode = text_input.encoder
        if not isinstance(encode, RememberingEncoder):  # it already is one after a failed reload
            text_input.encoder = RememberingEncoder(
                encode, manifest.encoder.dimension, encoder_digest(manifest), self.entries
            )

    async def prepare(self, engine: Engine, nodes: Sequence[UnseenNode]) -> None:
        """Fetches embeddings that other processes computed."""
        encoder = remembering(engine)
        if encoder is None:
            return
        missing = encoder.missing([node.text for node in nodes])
        self.cache.count("memory", len(nodes) - len(missing))
        if missing:
            cached = await self.cache.get(missing)
            rows = {key: embedding(value, encoder.dimension) for key, value in cached.items()}
            good = {key: row for key, row in rows.items() if row is not None}
            self.cache.count(MALFORMED, len(rows) - len(good))
            encoder.add(good)

    async def publish(self, engine: Engine) -> None:
        """Writes new embeddings of this process to Redis."""
        encoder = remembering(engine)
        fresh = encoder.take_fresh() if encoder is not None else {}
        if fresh:
            await self.cache.put({key: row.tobytes() for key, row in fresh.items()})


def encoder_digest(manifest: Manifest) -> str:
    """Digests everything that an embedding depends on besides the text.

    The encoder's own digest does not suffice: it is the same for every precision of its export.
    """
    files, info = manifest.files, manifest.encoder
    parts = (files[info.file].sha256, files[TOKENIZER_FILE].sha256, str(info.max_tokens))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def embedding(value: bytes, dimension: int) -> NDArray[np.float32] | None:
    """Decodes an embedding from Redis, float32 [dimension]; None if it cannot be one.

    Every transformer of a bundle gives rows of unit norm, so a value with another norm, another
    length or a NaN is not an embedding. (Hashed texts, whose rows have no fixed norm, are never
    looked up.)
    """
    if len(value) != dimension * np.dtype(np.float32).itemsize:
        return None
    row = np.frombuffer(value, np.float32)
    norm = float(np.linalg.norm(row.astype(np.float64)))
    return row if abs(norm - 1) <= NORM_TOLERANCE else None  # NaN compares false


def remembering(engine: Engine) -> RememberingEncoder | None:
    text_input = engine.student.text_input
    encoder = text_input.encoder if isinstance(text_input, EmbeddedInput) else None
    return encoder if isinstance(encoder, RememberingEncoder) else None
