"""A version of the graph and its activations on disk, in a bundle's form without the networks."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bundle import GraphInfo, Manifest, write_bundle
from bundle.student import LOGITS_FILE, activation_file
from graph.materialize import to_text_graph
from graph.snapshot import save_snapshot
from graph.versions import VersionedTable
from service.state import GRAPH_FOLDER, GraphState

PREFIX = "snapshot-"
ROWS_A_STEP = 65_536  # at width 256 and float32, 64 MiB


def write_snapshot(data: Path, manifest: Manifest, state: GraphState) -> str:
    """Writes a state into a folder of its own, on the disk when it returns.

    Others may read and write the graph meanwhile.

    Args:
        manifest: of the bundle that the graph belongs to.

    Returns:
        The folder's name in `data`.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    name = f"{PREFIX}{state.version}"
    graph = to_text_graph(state.graph)
    info = GraphInfo(graph.name, graph.content_hash, graph.num_nodes, graph.adjacency.num_edges)
    rows = state.graph.live_rows()

    def fill(folder: Path) -> Manifest:
        (folder / GRAPH_FOLDER).mkdir()
        save_snapshot(graph, folder / GRAPH_FOLDER)
        (folder / LOGITS_FILE).parent.mkdir()
        for number, table in enumerate(state.tables.activations):
            save_rows(folder / activation_file(number), table, state, rows)
        save_rows(folder / LOGITS_FILE, state.tables.logits, state, rows)
        return replace(manifest, graph=info, files={})

    write_bundle(data / name, fill)
    synchronize(data / name)
    return name


def save_rows(
    path: Path, table: VersionedTable, state: GraphState, rows: NDArray[np.int64]
) -> None:
    shape = (len(rows), table.width)
    target = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(rows), ROWS_A_STEP):
        part = slice(start, start + ROWS_A_STEP)
        target[part] = table.take(state.graph.version, rows[part])
    target.flush()


def synchronize(folder: Path) -> None:
    """Waits until a folder's files and names are on the disk."""
    for path in [*folder.rglob("*"), folder, folder.parent]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_snapshots(data: Path, kept: str) -> None:
    """Removes every snapshot but one, and what an interrupted one left."""
    for path in data.glob(f"*{PREFIX}*"):
        if path.is_dir() and path.name != kept:
            shutil.rmtree(path, ignore_errors=True)
