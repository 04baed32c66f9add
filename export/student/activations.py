"""Every node's activations, computed by the files that will be served."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from training.encoders.features import Features, HashedFeatures
from understudy.bundle.student import StudentNetwork
from understudy.graph.csr import Adjacency
from understudy.graph.neighborhoods import Weighting, stored_neighborhoods
from understudy.graph.progress import Progress, silent
from understudy.graph.propagation import propagate

ROWS_A_STEP = 1_024  # of features
CELLS_A_STEP = 65_536  # hashed n-grams a step, padding included: 32 MiB of the bag's rows


def all_activations(
    network: StudentNetwork,
    features: Features,
    adjacency: Adjacency,
    weighting: Weighting,
    progress: Progress = silent,
) -> list[NDArray[np.float32]]:
    """h0 … h(L-1), each [N, hidden], and the logits [N, classes]."""
    steps = len(network.layers) + 1
    progress("Computing activations", 0, steps)
    result = [first_activations(network, features, adjacency.num_nodes)]
    progress("Computing activations", 1, steps)
    neighborhoods = stored_neighborhoods(adjacency, np.arange(adjacency.num_nodes))
    for number, layer in enumerate(network.layers, start=2):
        result.append(propagate(layer, result[-1], result[-1], neighborhoods, weighting))
        progress("Computing activations", number, steps)
    return result


def first_activations(
    network: StudentNetwork, features: Features, count: int
) -> NDArray[np.float32]:
    """h0 [N, hidden]."""
    if isinstance(features, HashedFeatures):
        lengths = np.diff(features.texts.indptr)
        order = np.argsort(lengths, kind="stable")  # texts of similar length pad each other little
        steps = np.split(order, step_ends(lengths[order]))
    else:
        order = np.arange(count)
        steps = np.split(order, np.arange(ROWS_A_STEP, count, ROWS_A_STEP))
    rows = np.concatenate([network.input(input_feeds(features, nodes)) for nodes in steps])
    result = np.empty_like(rows)
    result[order] = rows
    return result


def step_ends(lengths: NDArray[np.int64]) -> list[int]:
    """Where to cut sorted lengths, so that every step pads to at most CELLS_A_STEP."""
    ends, start = [], 0
    for position, length in enumerate(lengths.tolist()):
        if (position - start + 1) * length > CELLS_A_STEP and position > start:
            ends.append(position)
            start = position
    return ends


def input_feeds(features: Features, nodes: NDArray[np.int64]) -> Mapping[str, NDArray[np.generic]]:
    """What the input network reads for some nodes."""
    if not isinstance(features, HashedFeatures):
        return {"x": features[nodes].numpy()}
    buckets, weights = features.texts.rows(nodes).padded()
    return cast(Mapping[str, NDArray[np.generic]], {"buckets": buckets, "weights": weights})
