"""Checks what a cluster's worker sees on its machine."""

import socket
from pathlib import Path

from understudy.cluster.errors import ClusterError
from understudy.graph import TextGraph, load_graph
from understudy.plugins import load_plugins


def check_seen(folder: Path, contents: str) -> None:
    """Refuses a machine that does not see one of the command's folders.

    Raises:
        ClusterError: there is none at that path.
    """
    if not folder.is_dir():
        raise ClusterError(
            f"{socket.gethostname()} has no folder {folder}; every machine of the cluster must "
            f"have {contents} at the same path, as on a shared file system"
        )


def load_same_graph(folder: Path, content_hash: str) -> TextGraph:
    """Loads the command's graph on this machine, and the plugins.

    Raises:
        ClusterError: there is none at that path, or another one.
        GraphError: see `load_graph`.
    """
    load_plugins()
    check_seen(folder, "the graph")
    graph = load_graph(folder)
    if graph.content_hash != content_hash:
        raise ClusterError(
            f"{folder} on {socket.gethostname()} holds a different graph than here; every machine "
            "of the cluster must have the same one"
        )
    return graph
