"""Passes over ranges of nodes, and the worker process that runs them."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from export.encoder.embeddings import encoded
from export.student.activations import first_activations, layer_rows
from export.student.forms import Form
from training.encoders.features import (
    EncoderSpec,
    Features,
    dense_features,
    hashed_features,
)
from understudy.bundle.student import StudentNetwork
from understudy.bundle.text_encoder import TextEncoder
from understudy.cluster.errors import ClusterError
from understudy.cluster.places import check_seen, load_same_graph
from understudy.graph import TextGraph
from understudy.graph.arrays import write_array
from understudy.graph.files import atomic_file

THREADS = 1  # of a worker, which has one core


class Pass(Protocol):
    """One pass over all nodes, range by range; it is sent to the workers."""

    def rows(self, graph: TextGraph, start: int, end: int) -> NDArray[np.float32]:
        """The results for the nodes of a range, float32 [end - start, d]."""
        ...


@dataclass(frozen=True, slots=True)
class InputPass:
    """Features → h0.

    Attributes:
        file: of dense features; None: texts are hashed
    """

    form: Form
    spec: EncoderSpec
    file: Path | None

    def rows(self, graph: TextGraph, start: int, end: int) -> NDArray[np.float32]:
        return first_activations(opened(self.form), self.features(graph, start, end), end - start)

    def features(self, graph: TextGraph, start: int, end: int) -> Features:
        if self.file is None:
            return hashed_features(graph.texts[start:end], self.spec)
        return dense_features(mapped(self.file)[start:end])


@dataclass(frozen=True, slots=True)
class LayerPass:
    """h(number - 1), which lies in a file, float32 [N, d] → h(number), or the logits."""

    form: Form
    number: int  # starts at 1
    table: Path

    def rows(self, graph: TextGraph, start: int, end: int) -> NDArray[np.float32]:
        layer, table = opened(self.form).layers[self.number - 1], mapped(self.table)
        return layer_rows(layer, table, graph.adjacency, self.form.weighting, start, end)


@dataclass(frozen=True, slots=True)
class EncodingPass:
    """Texts → embeddings, by an encoder of a bundle that is being made."""

    folder: Path
    max_tokens: int
    file: str

    def rows(self, graph: TextGraph, start: int, end: int) -> NDArray[np.float32]:
        encoder = opened_encoder(self.folder, self.max_tokens, self.file)
        return np.concatenate(list(encoded(encoder, graph, start, end)))


@dataclass(frozen=True, slots=True)
class Range:
    """What a worker is to do.

    Attributes:
        shard: the file for it, whole or not there
    """

    done: Pass
    start: int
    end: int
    shard: Path


class RangeWorker:
    """A process with the graph, for as long as there are passes over it."""

    def __init__(self, graph_folder: str, content_hash: str) -> None:
        self.graph_folder, self.content_hash = Path(graph_folder), content_hash

    @cached_property
    def graph(self) -> TextGraph:
        torch.set_num_threads(THREADS)
        return load_same_graph(self.graph_folder, self.content_hash)

    def work(self, item: Range) -> None:
        """Computes and writes the shard."""
        graph = self.graph
        check_seen(item.shard.parent, "the place of the bundle")
        rows = item.done.rows(graph, item.start, item.end)
        with atomic_file(item.shard) as temporary, temporary.open("wb") as stream:
            write_array(stream, rows)


@lru_cache(maxsize=2)
def opened(form: Form) -> StudentNetwork:
    return form.open(THREADS)


@lru_cache(maxsize=1)
def opened_encoder(folder: Path, max_tokens: int, file: str) -> TextEncoder:
    return TextEncoder(folder, max_tokens, THREADS, file=file)


def mapped(path: Path) -> NDArray[np.float32]:
    """Maps a .npy file that the command has written.

    Raises:
        ClusterError: it is not visible on this machine.
    """
    if not path.is_file():
        check_seen(path.parent, "the place of the bundle and UNDERSTUDY_CACHE")
        raise ClusterError(f"{path} no longer exists; was it removed by another program?")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
