"""The exported transformer encoder: texts → unit vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from understudy.bundle.errors import BundleDamagedError
from understudy.bundle.manifest import EncoderInfo
from understudy.bundle.reader import Files, files_of
from understudy.bundle.sessions import Network

ENCODER_FILE = "encoder/encoder.onnx"
INT8_FILE = "encoder/encoder-int8.onnx"
TOKENIZER_FILE = "encoder/tokenizer.json"

# Texts of similar length share a batch of at most this many tokens, padding included.
TOKENS_PER_BATCH = 4_096


class TextEncoder:
    """Tokenises texts, runs them in batches of similar length, returns rows in their order."""

    def __init__(
        self,
        source: Files | Path,
        max_tokens: int,
        threads: int = 1,
        provider: str = "cpu",
        file: str = ENCODER_FILE,
    ) -> None:
        """Opens an encoder of a bundle, or of a folder that is being written; see `open_student`.

        An int8 file scales its activations to the largest one of a run. So it runs each text alone,
        for embeddings that depend on nothing but their text, and on the CPU, where that is faster.
        """
        self.alone = file == INT8_FILE
        files = files_of(source)
        self.network = Network(files.path(file), threads, "cpu" if self.alone else provider)
        tokenizer = files.path(TOKENIZER_FILE)
        try:
            self.tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:
            raise BundleDamagedError(f"{tokenizer}: {error}") from error
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length=max_tokens)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodes texts, repeated ones once; float32 [B, dimension], each row of unit norm."""
        places: dict[str, int] = {}
        which = [places.setdefault(text, len(places)) for text in texts]
        token_ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(places))]
        order = sorted(range(len(places)), key=lambda index: len(token_ids[index]))
        groups = [[index] for index in order] if self.alone else batches(order, token_ids)
        pieces = [self.encode([token_ids[index] for index in group]) for group in groups]
        if not pieces:
            raise ValueError("there is no text to encode")
        rows = np.concatenate(pieces)
        result = np.empty_like(rows)
        result[order] = rows
        return result if len(places) == len(texts) else result[which]

    def encode(self, token_ids: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Encodes one batch of token ids, padded to the longest."""
        lengths = np.array([len(ids) for ids in token_ids])
        mask = np.arange(lengths.max()) < lengths[:, None]  # [B, T]
        input_ids = np.zeros(mask.shape, dtype=np.int64)
        input_ids[mask] = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in token_ids])
        return self.network({"input_ids": input_ids, "attention_mask": mask.astype(np.int64)})


def open_text_encoder(
    source: Files | Path, info: EncoderInfo, threads: int = 1, provider: str = "cpu"
) -> TextEncoder:
    """Opens the encoder that computed a bundle's stored activations."""
    return TextEncoder(source, info.max_tokens, threads, provider, info.file)


def batches(order: Sequence[int], token_ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Cuts indices, sorted by length, into batches of at most TOKENS_PER_BATCH tokens."""
    result: list[list[int]] = []
    for index in order:
        length = len(token_ids[index])
        if not result or (len(result[-1]) + 1) * length > TOKENS_PER_BATCH:
            result.append([])
        result[-1].append(index)
    return result
