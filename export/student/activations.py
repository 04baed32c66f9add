"""Computes every node's activations with the files that will be served."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from training.encoders.features import Features, HashedFeatures
from understudy.bundle.student import StudentNetwork
from understudy.graph.csr import Adjacency
from understudy.graph.layers.neighborhoods import Weighting, stored_neighborhoods
from understudy.graph.layers.propagation import Layer, propagate
from understudy.progress import Progress, silent

STAGE = "Computing activations"
ROWS_A_STEP = 1_024  # of features
NODES_A_STEP = 2**20  # of a layer
NEIGHBORS_A_STEP = 2**22  # of a layer's nodes: at 50 bytes, 200 MB
CELLS_A_STEP = 65_536  # hashed n-grams per step, with padding: 32 MiB of the bag's rows


def all_activations(
    network: StudentNetwork,
    features: Features,
    adjacency: Adjacency,
    weighting: Weighting,
    progress: Progress = silent,
) -> list[NDArray[np.float32]]:
    """h0 … h(L-1), each [N, hidden], and the logits [N, classes]."""
    steps = len(network.layers) + 1
    progress(STAGE, 0, steps)
    result = [first_activations(network, features, adjacency.num_nodes)]
    progress(STAGE, 1, steps)
    for number, layer in enumerate(network.layers, start=2):
        result.append(next_activations(layer, result[-1], adjacency, weighting))
        progress(STAGE, number, steps)
    return result


def next_activations(
    layer: Layer, table: NDArray[np.float32], adjacency: Adjacency, weighting: Weighting
) -> NDArray[np.float32]:
    """A layer's output for its table [N, d], computed for some nodes at a time; [N, d']."""
    result: NDArray[np.float32] | None = None
    for start, end in node_ranges(adjacency, NODES_A_STEP, NEIGHBORS_A_STEP):
        rows = layer_rows(layer, table, adjacency, weighting, start, end)
        if result is None:
            result = np.empty((len(table), rows.shape[1]), np.float32)
        result[start:end] = rows
    return cast(NDArray[np.float32], result)


def layer_rows(
    layer: Layer,
    table: NDArray[np.float32],
    adjacency: Adjacency,
    weighting: Weighting,
    start: int,
    end: int,
) -> NDArray[np.float32]:
    """A layer's output for a range of nodes, from its table [N, d]; [end - start, d']."""
    near = stored_neighborhoods(adjacency, np.arange(start, end))
    return propagate(layer, table[start:end], table, near, weighting)


def node_ranges(adjacency: Adjacency, nodes: int, neighbors: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most so many nodes, and about so many neighbours at most."""
    start, count = 0, adjacency.num_nodes
    while start < count:
        wanted = adjacency.indptr[start] + neighbors
        end = int(np.searchsorted(adjacency.indptr, wanted, side="right")) - 1
        end = min(max(end, start + 1), start + nodes, count)
        yield start, end
        start = end


def first_activations(
    network: StudentNetwork, features: Features, count: int
) -> NDArray[np.float32]:
    """h0 [N, hidden]."""
    if isinstance(features, HashedFeatures):
        lengths = features.texts.lengths()
        order = np.argsort(lengths, kind="stable")  # texts of similar length need little padding
        steps = np.split(order, step_ends(lengths[order]))
    else:
        order = np.arange(count)
        steps = np.split(order, np.arange(ROWS_A_STEP, count, ROWS_A_STEP))
    result: NDArray[np.float32] | None = None
    for nodes in steps:
        rows = network.input(input_feeds(features, nodes))
        if result is None:
            result = np.empty((count, rows.shape[1]), np.float32)
        result[nodes] = rows
    return cast(NDArray[np.float32], result)


def step_ends(lengths: NDArray[np.int64]) -> list[int]:
    """Where to cut sorted lengths, so that every step pads to at most CELLS_A_STEP."""
    ends, start = [], 0
    for position, length in enumerate(lengths.tolist()):
        if (position - start + 1) * length > CELLS_A_STEP and position > start:
            ends.append(position)
            start = position
    return ends


def input_feeds(features: Features, nodes: NDArray[np.int64]) -> Mapping[str, NDArray[np.generic]]:
    """The inputs of the input network for some nodes."""
    if not isinstance(features, HashedFeatures):
        return {"x": features[nodes].numpy()}
    buckets, weights = features.texts.rows(nodes).padded()
    return cast(Mapping[str, NDArray[np.generic]], {"buckets": buckets, "weights": weights})
