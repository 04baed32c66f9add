"""Every node's activations, computed by the files that will be served."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bundle.student import StudentNetwork
from graph.csr import Adjacency
from graph.neighborhoods import Weighting, stored_neighborhoods
from graph.progress import Progress, silent
from graph.propagation import propagate
from training.features import Features, HashedFeatures

CHUNK = 4_096  # nodes a step: bounds what is in memory besides the activations


def all_activations(
    network: StudentNetwork,
    features: Features,
    adjacency: Adjacency,
    weighting: Weighting,
    progress: Progress = silent,
) -> list[NDArray[np.float32]]:
    """h0 … h(L-1), each [N, hidden], and the logits [N, classes]."""
    steps = (len(network.layers) + 1) * adjacency.num_nodes
    chunks = [
        np.arange(start, min(start + CHUNK, adjacency.num_nodes))
        for start in range(0, adjacency.num_nodes, CHUNK)
    ]
    result: list[NDArray[np.float32]] = []
    done = 0
    for number in range(len(network.layers) + 1):
        pieces = []
        for nodes in chunks:
            if number == 0:
                pieces.append(network.input(input_feeds(features, nodes)))
            else:
                table = result[-1]
                neighborhoods = stored_neighborhoods(adjacency, nodes)
                layer = network.layers[number - 1]
                pieces.append(propagate(layer, table[nodes], table, neighborhoods, weighting))
            done += len(nodes)
            progress("Computing activations", done, steps)
        result.append(np.concatenate(pieces))
    return result


def input_feeds(features: Features, nodes: NDArray[np.int64]) -> Mapping[str, NDArray[np.generic]]:
    """What the input network reads for some nodes."""
    if not isinstance(features, HashedFeatures):
        return {"x": features[nodes].numpy()}
    buckets, weights = features.texts.rows(nodes).padded()
    return cast(Mapping[str, NDArray[np.generic]], {"buckets": buckets, "weights": weights})
