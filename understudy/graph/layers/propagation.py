"""Runs one exported layer for many nodes."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from understudy.graph.layers.aggregation import aggregate
from understudy.graph.layers.attention import AttentionParts, attend, pays
from understudy.graph.layers.neighborhoods import Neighborhoods, Weighting, padded_blocks

Layer = Callable[[Mapping[str, NDArray[np.generic]]], NDArray[np.float32]]

DENSE_ROWS = 1_024  # rows per dense step, whose intermediate results stay in the cache


def propagate(
    layer: Layer,
    h: NDArray[np.float32],
    table: NDArray[np.float32],
    neighborhoods: Neighborhoods,
    weighting: Weighting,
) -> NDArray[np.float32]:
    """Runs `layer` for B nodes whose neighbours' activations are in `table`.

    Messages only flow from the table into the nodes, so the result does not depend on which nodes
    are requested together.

    Args:
        layer: takes h, table, index, weight and self_weight as in
            `understudy.graph.layers.neighborhoods.Block`; or, if it has `inputs` and the table is
            not among them, h and aggregated, float32 [B, d]. With `attention`
            (`understudy.graph.layers.attention.AttentionParts`) it may be run in that form.

    Shapes:
        h: float32 [B, d], the nodes' own activations of the layer below
        table: float32 [M, d], all stored nodes' activations of the layer below
        returns: float32 [B, d']
    """
    inputs = getattr(layer, "inputs", ("table",))
    parts: AttentionParts | None = getattr(layer, "attention", None)
    if parts is not None and pays(neighborhoods, len(table)):
        return run_dense(parts.finish, h, attend(parts.project, h, table, neighborhoods))
    if "table" in inputs:
        return run_blocks(layer, h, table, neighborhoods, weighting)
    if "aggregated" in inputs:
        return run_dense(layer, h, aggregate(h, table, neighborhoods, weighting))
    return run_dense(layer, h, h)  # the layer reads no neighbours


def run_dense(
    layer: Layer, h: NDArray[np.float32], aggregated: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Runs a layer in steps of DENSE_ROWS rows."""
    pieces = [
        layer({"h": h[start : start + DENSE_ROWS], "aggregated": aggregated[start:][:DENSE_ROWS]})
        for start in range(0, len(h), DENSE_ROWS)
    ]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def run_blocks(
    layer: Layer,
    h: NDArray[np.float32],
    table: NDArray[np.float32],
    neighborhoods: Neighborhoods,
    weighting: Weighting,
) -> NDArray[np.float32]:
    """Runs a layer in blocks of similar degree."""
    pieces: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
    for block in padded_blocks(neighborhoods, weighting):
        feeds: dict[str, NDArray[np.generic]] = {
            "h": h[block.rows],
            "table": table,
            "index": block.index,
            "weight": block.weight,
            "self_weight": block.self_weight,
        }
        pieces.append((block.rows, layer(feeds)))
    if len(pieces) == 1:  # a single bucket, usual for single nodes, is already in order
        return pieces[0][1]
    result = np.empty((len(h), pieces[0][1].shape[1]), dtype=np.float32)
    for rows, values in pieces:
        result[rows] = values
    return result
