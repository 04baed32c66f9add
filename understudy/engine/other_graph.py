"""A bundle's predictions on a later version of its graph, without serving it."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.bundle import open_bundle
from understudy.engine.beginnings import verified
from understudy.engine.opening import Opening, assemble_at, check_lineage
from understudy.graph.lineage import lineage_of
from understudy.graph.log.keys import Keys
from understudy.graph.log.memory import MemoryLog
from understudy.graph.mutable.store import GraphStore
from understudy.graph.text_graph import TextGraph
from understudy.progress import Progress, silent


def logits_on(
    folder: Path, graph: TextGraph, progress: Progress = silent
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Computes the logits [N, labels] of every node of a graph; returned after the label names.

    A service with that bundle gives the same answers once it serves this graph.

    Raises:
        BundleError: the bundle cannot be read, or is damaged.
        BundleForeignError: the graph is of another lineage.
        InferenceError: the networks failed.
    """
    bundle = open_bundle(folder, verify=False)
    lineage = lineage_of(graph)
    check_lineage(bundle.manifest, lineage.id)
    view = GraphStore(graph, lineage.position).view
    log = MemoryLog(lineage.position)
    with verified(bundle):
        manifest, writer, _ = assemble_at(bundle, view, log, Keys(), Opening(progress=progress))
    try:
        state, _, _ = writer.moment()
        return manifest.label_names, state.logits(state.rows(graph.ids.to_pylist()))
    finally:
        writer.close()


def accuracy_of(
    names: tuple[str, ...],
    logits: NDArray[np.float32],
    graph: TextGraph,
    nodes: NDArray[np.int64],
) -> float:
    """Computes the share of labelled nodes whose label is predicted; labels compare by name.

    Shapes:
        logits: [N, names]
        nodes: int64 [n], n > 0
    """
    best = logits[nodes].argmax(axis=1)
    place_of = {name: place for place, name in enumerate(names)}
    wanted = np.array([place_of.get(name, -2) for name in graph.label_names], dtype=np.int64)
    return float((wanted[graph.labels[nodes]] == best).mean())
