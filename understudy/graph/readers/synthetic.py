"""Seeded synthetic graphs: a degree-corrected stochastic block model with texts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.building.builder import Built
from understudy.graph.building.remarks import what_to_know
from understudy.graph.csr import Adjacency, build_adjacency, sorted_distinct
from understudy.graph.errors import BadInputError
from understudy.graph.readers.vocabulary import SHARED, WORDS_PER_TOPIC, topic_names, topic_words
from understudy.graph.splits import random_split
from understudy.graph.text_graph import UNLABELED, TextGraph, with_used_labels
from understudy.progress import Progress, silent

TITLE_WORDS = 4
TEXT_CHUNK = 100_000  # nodes whose texts are made at once
EDGES_AT_ONCE = 2**22  # drawn at once; temporary memory is ten times as large
SHARED_PART = 0.5  # share of words that belong to no topic
ROUNDS = 30  # of drawing edges until enough are distinct


@dataclass(frozen=True)
class SyntheticOptions:
    """The parameters of a synthetic graph."""

    nodes: int = 2000
    classes: int = 8
    mean_degree: float = 8.0  # neighbours per node
    homophily: float = 0.7  # share of edges that join equal classes, 0..1
    text_signal: float = (
        0.5  # 0: texts are independent of classes; 1: all topical words are the class's own
    )
    edge_signal: float = 0.5  # 0: edges to other classes are uniform; 1: to two partner classes
    degree_spread: float = 0.8  # standard deviation of a node's log propensity to have edges
    words: int = 16  # mean words per text
    seed: int = 0
    labeled: float = 1.0  # share of nodes that keep their label, 0..1

    @property
    def edges(self) -> int:
        """The wanted number of edges."""
        return round(self.nodes * self.mean_degree / 2)

    def check(self) -> None:
        """Checks the parameters.

        Raises:
            BadInputError: a dial is out of its range.
        """
        for name in ("homophily", "text_signal", "edge_signal", "labeled"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInputError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        if self.classes < 1 or self.nodes < self.classes:
            raise BadInputError(f"{self.nodes} nodes cannot have {self.classes} classes")
        if self.words < 2 * TITLE_WORDS:
            raise BadInputError(f"words must be at least {2 * TITLE_WORDS}, not {self.words}")
        most = (self.nodes - 1) / 2
        if not 0 <= self.mean_degree <= most:
            raise BadInputError(
                f"mean_degree must be at least 0 and at most {most:g} among {self.nodes:,} nodes, "
                f"not {self.mean_degree:g}; give another --mean-degree, or draw more nodes"
            )
        if not 0 <= self.degree_spread < math.inf:
            raise BadInputError(
                f"degree_spread must be a number of at least 0, not {self.degree_spread}"
            )


def synthetic_graph(dials: SyntheticOptions, progress: Progress = silent) -> TextGraph:
    """Draws a graph; equal dials give an equal graph.

    All classes have the same number of nodes, plus or minus one; the split of the labelled nodes is
    random, 60/20/20.

    Raises:
        BadInputError: a dial is out of its range.
    """
    dials.check()
    streams = np.random.default_rng(dials.seed).spawn(4)
    labels = streams[0].permutation(np.arange(dials.nodes, dtype=np.int64) % dials.classes)
    adjacency = draw_edges(dials, labels, streams[1], progress)
    texts = draw_texts(dials, labels, streams[2], progress)
    if dials.labeled < 1:
        labels = np.where(streams[3].random(dials.nodes) < dials.labeled, labels, UNLABELED)
    numbers = pa.array(np.arange(dials.nodes)).cast(pa.large_string())
    prefix = pa.scalar("node-", pa.large_string())
    graph = TextGraph(
        name="synthetic",
        ids=pc.binary_join_element_wise(prefix, numbers, pa.scalar("", pa.large_string())),
        texts=texts,
        labels=labels,
        label_names=topic_names(dials.classes),
        adjacency=adjacency,
        splits=random_split(labels, seed=dials.seed) if (labels >= 0).any() else {},
        source=f"drawn: {dials}",
    )
    return with_used_labels(graph)  # if few nodes keep labels, a class may have none


def drawn(dials: SyntheticOptions, progress: Progress = silent) -> Built:
    """Draws a graph, with remarks for the user.

    Raises:
        BadInputError: a dial is out of its range.
    """
    graph = synthetic_graph(dials, progress)
    remarks = list(what_to_know(graph, True))
    drawn, wanted = graph.adjacency.num_edges, dials.edges
    if drawn < wanted:
        remarks.append(
            f"only {drawn:,} of {wanted:,} edges could be drawn: there are too few pairs of nodes "
            f"for a homophily of {dials.homophily:g}; choose a smaller mean degree, or fewer "
            "classes"
        )
    return Built(graph, (), True, tuple(remarks))


def draw_edges(
    dials: SyntheticOptions,
    labels: NDArray[np.int64],
    generator: np.random.Generator,
    progress: Progress,
) -> Adjacency:
    """Draws distinct edges until the mean degree is reached.

    An edge's first end is drawn by propensity. With probability `homophily` the second is in the
    same class, otherwise in another: in a partner class with probability `edge_signal`, otherwise
    in any. Within the class it is again drawn by propensity.
    """
    wanted = dials.edges
    sampler = NodeSampler(labels, dials, generator)
    keys = np.empty(0, np.int64)
    for _ in range(ROUNDS):
        missing = wanted - len(keys)
        if missing <= 0:
            break
        progress("draw edges", len(keys), wanted)
        keys = sorted_distinct(np.concatenate([keys, *sampler.keys(missing + missing // 16 + 8)]))
    if len(keys) > wanted:
        keys = np.delete(keys, generator.choice(len(keys), len(keys) - wanted, replace=False))
    progress("draw edges", wanted, wanted)
    return build_adjacency(dials.nodes, np.stack(np.divmod(keys, dials.nodes), axis=1))[0]


class NodeSampler:
    """Draws nodes of given classes by propensity, by inverting cumulative sums."""

    def __init__(
        self, labels: NDArray[np.int64], dials: SyntheticOptions, generator: np.random.Generator
    ) -> None:
        self.dials, self.generator = dials, generator
        self.order = np.argsort(labels, kind="stable")
        self.labels = labels
        weights = np.exp(generator.normal(0, dials.degree_spread, dials.nodes))
        self.sums = np.cumsum(weights)  # over nodes in `order`
        ends = np.cumsum(np.bincount(labels, minlength=dials.classes))
        self.bounds = np.concatenate([[0.0], self.sums[ends - 1]])  # of each class, in `sums`

    def within(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.int64]:
        """Draws a node for each range of the cumulative sums."""
        point = low + self.generator.random(len(low)) * (high - low)
        position = np.searchsorted(self.sums, point, side="right")
        return self.order[np.minimum(position, len(self.order) - 1)]

    def pairs(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Both ends of `count` edges."""
        zeros = np.zeros(count)
        first = self.within(zeros, zeros + self.bounds[-1])
        classes = self.second_classes(self.labels[first])
        return first, self.within(self.bounds[classes], self.bounds[classes + 1])

    def keys(self, count: int, at_once: int = EDGES_AT_ONCE) -> Iterator[NDArray[np.int64]]:
        """Up to `count` edges, in parts, as low * nodes + high; loops are left out."""
        for start in range(0, count, at_once):
            first, second = self.pairs(min(at_once, count - start))
            low, high = np.minimum(first, second), np.maximum(first, second)
            yield (low * self.dials.nodes + high)[low != high]

    def second_classes(self, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """The class of the second end, given that of the first."""
        classes, generator = self.dials.classes, self.generator
        if classes == 1:
            return first
        count = len(first)
        shift = generator.integers(1, classes, count)  # shift to any other class
        partner = np.where(generator.random(count) < 0.5, 1, classes - 1)
        shift = np.where(generator.random(count) < self.dials.edge_signal, partner, shift)
        same = generator.random(count) < self.dials.homophily
        return np.where(same, first, (first + shift) % classes)


def draw_texts(
    dials: SyntheticOptions,
    labels: NDArray[np.int64],
    generator: np.random.Generator,
    progress: Progress,
) -> pa.LargeStringArray:
    """A title line and a body line for every node.

    Half of the words are shared ones. Each other word belongs to the node's class with probability
    `text_signal`, and to any class otherwise.
    """
    topical = topic_words(dials.classes)
    vocabulary = pa.array([*SHARED, *topical.ravel().tolist()])
    chunks = []
    for start in range(0, dials.nodes, TEXT_CHUNK):
        part = labels[start : start + TEXT_CHUNK]
        titles = np.full(len(part), TITLE_WORDS)
        bodies = generator.poisson(dials.words - TITLE_WORDS - 1, len(part)) + 1
        lines = [
            join_words(vocabulary, draw_words(dials, np.repeat(part, lengths), generator), lengths)
            for lengths in (titles, bodies)
        ]
        chunks.append(pc.binary_join_element_wise(*lines, pa.scalar("\n", pa.large_string())))
        progress("write texts", min(start + TEXT_CHUNK, dials.nodes), dials.nodes)
    return pa.concat_arrays(chunks)


def draw_words(
    dials: SyntheticOptions, labels: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """int64: a position in the vocabulary for each word, given its node's class."""
    count = len(labels)
    has_own_topic = generator.random(count) < dials.text_signal
    topic = np.where(has_own_topic, labels, generator.integers(0, dials.classes, count))
    topical = len(SHARED) + topic * WORDS_PER_TOPIC + generator.integers(0, WORDS_PER_TOPIC, count)
    shared = generator.random(count) < SHARED_PART
    return np.where(shared, generator.integers(0, len(SHARED), count), topical)


def join_words(
    vocabulary: pa.LargeStringArray, words: NDArray[np.int64], lengths: NDArray[np.int64]
) -> pa.LargeStringArray:
    """Joins runs of words with blanks: one string for each length."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    lists = pa.ListArray.from_arrays(offsets, vocabulary.take(pa.array(words)))
    return pc.binary_join(lists, pa.scalar(" ", vocabulary.type)).cast(pa.large_string())
