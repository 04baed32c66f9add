"""Writes the text encoder of a bundle, and computes embeddings with the written files."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch
from numpy.typing import NDArray

from export.checks.gates import smallest_cosine
from export.checks.parity import check_encoder
from export.encoder.block import EncoderBlock
from export.encoder.embeddings import encoded
from export.encoder.outliers import set_outliers_apart
from export.encoder.rounding import round_products
from export.onnx_files import Axes, B, OnnxFile, T, export_files
from export.precisions import to_int8
from training.encoders.features import cached_file, kept_embeddings, mapped
from training.encoders.minilm import MiniLM, load_minilm
from understudy.bundle.reader import mapped_digest
from understudy.bundle.text_encoder import ENCODER_FILE, INT8_FILE, TOKENIZER_FILE, TextEncoder
from understudy.folders.errors import cache_errors
from understudy.folders.temporary import temporary_errors, temporary_folder
from understudy.graph import TextGraph
from understudy.graph.arrays import save_array
from understudy.graph.files import atomic_file
from understudy.progress import Progress

SAMPLED_TEXTS = 64  # for finding outliers and rounding weights


@dataclass(frozen=True, slots=True)
class WrittenEncoder:
    folder: Path
    original: MiniLM
    threads: int
    cosine_gap: float  # measured by `check_encoder`

    def open(self, file: str) -> TextEncoder:
        return TextEncoder(self.folder, self.original.max_tokens, self.threads, file=file)


def export_encoder(block: EncoderBlock, path: Path) -> None:
    """Writes a sentence encoder: input_ids, attention_mask [B, T] → sentence_embedding."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = torch.ones(B, T, dtype=torch.int64)
    mask[1, 4:] = 0
    axes: dict[str, Axes] = {
        "input_ids": ("texts", "tokens"),
        "attention_mask": ("texts", "tokens"),
    }
    sample = (torch.ones(B, T, dtype=torch.int64), mask)
    export_files([OnnxFile(path, block, sample, axes, "sentence_embedding")])


def write_encoder(
    folder: Path, model_path: Path | None, threads: int, progress: Progress
) -> WrittenEncoder:
    """Exports MiniLM with its tokenizer.

    Raises:
        ParityError: it does not compute the same as the original.
    """
    progress("Exporting the text encoder", 0, 1)
    original = load_minilm(model_path)
    export_encoder(EncoderBlock(original.module), folder / ENCODER_FILE)
    copyfile(original.folder / "tokenizer.json", folder / TOKENIZER_FILE)
    gap = check_encoder(original, TextEncoder(folder, original.max_tokens, threads))
    progress("Exporting the text encoder", 1, 1)
    return WrittenEncoder(folder, original, threads, gap)


def write_int8(encoder: WrittenEncoder, graph: TextGraph) -> float:
    """Writes the int8 file; returns the smallest cosine of its embeddings to those of fp32.

    A sample of the graph's texts determines the separated channels and the rounding of weights, and
    is compared.
    """
    step = max(1, graph.num_nodes // SAMPLED_TEXTS)
    texts = [str(text) for text in graph.texts[::step].to_pylist()][:SAMPLED_TEXTS]
    block = EncoderBlock(encoder.original.module).eval()
    token_ids = encoder.original.tokenize(texts)
    set_outliers_apart(block, token_ids)
    round_products(block, token_ids)
    with temporary_folder() as folder:
        path = folder / "split.onnx"
        with temporary_errors(folder):
            export_encoder(block, path)
        to_int8(path, encoder.folder / INT8_FILE)
    return smallest_cosine(encoder.open(ENCODER_FILE)(texts), encoder.open(INT8_FILE)(texts))


def embed(
    graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
) -> NDArray[np.float32]:
    """Every node's embedding by one of the files, float32 [N, dimension]."""
    encode = encoder.open(file)
    return np.concatenate(list(encoded(encode, graph, 0, graph.num_nodes, progress)))


Embed = Callable[[TextGraph, WrittenEncoder, str, Progress], NDArray[np.float32]]


def served_embeddings(
    graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress, make: Embed = embed
) -> NDArray[np.float32]:
    """The embeddings by one of the files, mapped from the cache, which `make` fills first.

    Raises:
        OutputUnwritableError: the cache cannot be written.
    """
    path = served_file(graph, encoder, file)
    kept = kept_embeddings(path, graph.num_nodes)
    if kept is not None:
        return kept
    values = make(graph, encoder, file, progress)
    with cache_errors(path), atomic_file(path) as temporary:
        save_array(temporary, values)
    return mapped(path)


def served_file(graph: TextGraph, encoder: WrittenEncoder, file: str) -> Path:
    """The cache file for these embeddings."""
    return cached_file(mapped_digest(encoder.folder / file), graph, ".npy")
