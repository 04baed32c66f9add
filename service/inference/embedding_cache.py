"""Text embeddings by (encoder, text), so that a text is read by a transformer once.

By hand, since a batch asks for many texts at once and the event loop fills in what Redis knew.
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

MAX_FRESH = 4_096  # embeddings that wait to be passed on; more are not
NORM_TOLERANCE = 1e-3  # of a transformer's rows, which are of unit norm but for rounding


class RememberingEncoder:
    """A text encoder that knows some texts already; runs on the inference thread.

    The event loop hands it what Redis knew before a batch, and takes what is new afterwards.
    """

    def __init__(self, encode: Encode, dimension: int, digest: str, entries: int) -> None:
        """Begins with nothing.

        Args:
            digest: tells what it makes of a text from what any other encoder does.
        """
        self.encode = encode
        self.dimension = dimension
        self.digest = digest
        self.entries = entries
        self.known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self.fresh: dict[str, NDArray[np.float32]] = {}
        self.lock = Lock()

    def key(self, text: str) -> str:
        return f"{self.digest[:16]}:{hashlib.sha256(text.encode()).hexdigest()}"

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [B, dimension], as the encoder itself gives them."""
        keys = [self.key(text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        with self.lock:
            rows = {key: self.known[key] for key in text_of if key in self.known}
            for key in rows:
                self.known.move_to_end(key)
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
        """The keys of the texts that it does not know."""
        keys = dict.fromkeys(self.key(text) for text in texts)
        with self.lock:
            return [key for key in keys if key not in self.known]

    def add(self, rows: dict[str, NDArray[np.float32]]) -> None:
        with self.lock:
            self.known.update(rows)
            while len(self.known) > self.entries:
                self.known.popitem(last=False)

    def take_fresh(self) -> dict[str, NDArray[np.float32]]:
        with self.lock:
            fresh, self.fresh = self.fresh, {}
        return fresh


class EmbeddingCache:
    """Moves embeddings between Redis and the encoders' own memory."""

    def __init__(self, cache: Cache, entries: int) -> None:
        """Starts with nothing attached.

        Args:
            entries: embeddings that each engine keeps in memory.
        """
        self.cache = cache
        self.entries = entries

    def attach(self, engine: Engine) -> None:
        """Lets an engine's transformer remember; hashed n-grams are cheaper than a look-up."""
        text_input, manifest = engine.student.text_input, engine.manifest
        if not self.entries or not isinstance(text_input, EmbeddedInput):
            return
        encode = text_input.encoder
        if not isinstance(encode, RememberingEncoder):  # it is, where a reload failed and it stays
            text_input.encoder = RememberingEncoder(
                encode, manifest.encoder.dimension, encoder_digest(manifest), self.entries
            )

    async def prepare(self, engine: Engine, nodes: Sequence[UnseenNode]) -> None:
        """Fetches what other processes have read."""
        encoder = remembering(engine)
        if encoder is None:
            return
        missing = encoder.missing([node.text for node in nodes])
        self.cache.count("memory", len(nodes) - len(missing))
        if missing:
            found = await self.cache.get(missing)
            rows = {key: embedding(value, encoder.dimension) for key, value in found.items()}
            good = {key: row for key, row in rows.items() if row is not None}
            self.cache.count(MALFORMED, len(rows) - len(good))
            encoder.add(good)

    async def publish(self, engine: Engine) -> None:
        """Passes on what this process has read."""
        encoder = remembering(engine)
        fresh = encoder.take_fresh() if encoder is not None else {}
        if fresh:
            await self.cache.put({key: row.tobytes() for key, row in fresh.items()})


def encoder_digest(manifest: Manifest) -> str:
    """Of all that an embedding depends on beside the text.

    The encoder's own digest is that of the weights from which it was exported, in whatever
    precision.
    """
    files, info = manifest.files, manifest.encoder
    parts = (files[info.file].sha256, files[TOKENIZER_FILE].sha256, str(info.max_tokens))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def embedding(value: bytes, dimension: int) -> NDArray[np.float32] | None:
    """What Redis held as an embedding, float32 [dimension]; None if it cannot be one.

    Every transformer of a bundle gives rows of unit norm, so one of another norm, of another
    length or with a NaN is not its work. (Hashed texts, whose rows have no norm of their own, are
    never looked up.)
    """
    if len(value) != dimension * np.dtype(np.float32).itemsize:
        return None
    row = np.frombuffer(value, np.float32)
    norm = float(np.linalg.norm(row.astype(np.float64)))
    return row if abs(norm - 1) <= NORM_TOLERANCE else None  # false of a NaN


def remembering(engine: Engine) -> RememberingEncoder | None:
    text_input = engine.student.text_input
    encoder = text_input.encoder if isinstance(text_input, EmbeddedInput) else None
    return encoder if isinstance(encoder, RememberingEncoder) else None
