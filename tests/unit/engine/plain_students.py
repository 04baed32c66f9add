"""Students in numpy, of any depth and weighting, without an export; a network may fail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tests.student_bundles import Array
from understudy.engine.full_run import compute_tables
from understudy.engine.state import GraphState
from understudy.engine.student import Student
from understudy.engine.updates.affected import Incremental
from understudy.engine.updates.writer import Writer
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.layers.propagation import Layer
from understudy.graph.log.memory import MemoryLog
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.text_graph import TextGraph

WIDTH, CLASSES = 6, 3
NOTHING = "nothing"  # a text of which h0 is zero everywhere
Feeds = Mapping[str, NDArray[np.generic]]


def read(texts: Sequence[str]) -> Array:
    rows = [np.random.default_rng(crc32(text.encode())).normal(size=WIDTH) for text in texts]
    rows = [row * (text != NOTHING) for row, text in zip(rows, texts, strict=True)]
    return np.array(rows, np.float32).reshape(len(texts), WIDTH)


@dataclass(frozen=True)
class Dense:
    """Of a node and what was aggregated for it, by whatever weighting."""

    own: Array
    other: Array
    inputs: tuple[str, ...] = ("h", "aggregated")

    def __call__(self, feeds: Feeds) -> Array:
        h, aggregated = (np.asarray(feeds[name], np.float32) for name in self.inputs)
        return np.asarray(np.tanh(h @ self.own + aggregated @ self.other + 1))


@dataclass(frozen=True)
class Alone:
    """Of a node alone."""

    own: Array
    other: Array
    inputs: tuple[str, ...] = ("h",)

    def __call__(self, feeds: Feeds) -> Array:
        return np.asarray(np.tanh(np.asarray(feeds["h"], np.float32) @ self.own + 1))


@dataclass(frozen=True)
class Attending:
    """Weighs neighbours by what they are, and the node itself."""

    own: Array
    other: Array
    inputs: tuple[str, ...] = ("h", "table", "index", "weight", "self_weight")

    def __call__(self, feeds: Feeds) -> Array:
        h, near = np.asarray(feeds["h"], np.float32), feeds["table"][feeds["index"]]
        rows = np.concatenate([near, h[:, None]], axis=1).astype(np.float32)  # [B, K + 1, d]
        there = np.concatenate([feeds["weight"], np.ones((len(h), 1), np.float32)], axis=1)
        shares = there * np.exp(rows.mean(axis=2) + h.mean(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        mixed = (shares[:, :, None] * rows).sum(axis=1)
        return np.asarray(np.tanh(h @ self.own + mixed @ self.other), np.float32)


def plain_student(weighting: Weighting, layers: int) -> Student:
    generator = np.random.default_rng(layers)
    kinds: dict[str, Callable[[Array, Array], Layer]] = {"mask": Attending, "none": Alone}
    kind = kinds.get(weighting, Dense)
    widths = [*[WIDTH] * layers, CLASSES]
    shapes = pairwise(widths)
    drawn = [generator.normal(size=(2, *shape)).astype(np.float32) for shape in shapes]
    return Student(read, tuple(kind(own, other) for own, other in drawn), weighting)


def plain_writer(student: Student, graph: TextGraph, at_once: int = 0) -> Writer:
    """A writer that leaves the logits of changes which more than `at_once` nodes need."""
    store = GraphStore(graph)
    tables = compute_tables(student, store.view)
    incremental = Incremental(student, tables, logits_at_once=at_once)
    return Writer(store, tables, incremental, MemoryLog())


def full_logits(student: Student, state: GraphState) -> Array:
    """Of every node, computed from nothing, in the order of their rows."""
    view = GraphStore(to_text_graph(state.graph)).view
    return np.asarray(compute_tables(student, view).logits.base)


def logits(state: GraphState) -> Array:
    """The same as they are read."""
    return state.logits(state.graph.live_rows())


def stale_ids(state: GraphState) -> set[str]:
    """Of the nodes whose logits are computed when they are asked for."""
    if state.stale is None:
        return set()
    rows = np.arange(state.graph.num_rows)
    marked = rows[state.stale.marks.take(state.graph.version, rows)]
    return {state.graph.id(row) for row in marked.tolist()}
