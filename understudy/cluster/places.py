"""What a worker of a cluster finds on its machine."""

import socket
from pathlib import Path

from understudy.cluster.errors import ClusterError
from understudy.graph import TextGraph, load_graph
from understudy.plugins import load_plugins


def check_seen(folder: Path, what: str) -> None:
    """Refuses a machine that does not see a folder of the command's.

    Raises:
        ClusterError: there is none at that path.
    """
    if not folder.is_dir():
        raise ClusterError(
            f"{socket.gethostname()} has no folder {folder}; every machine of the cluster must see "
            f"{what} by the same path, as on a shared file system"
        )


def load_same_graph(folder: Path, content_hash: str) -> TextGraph:
    """The graph that the command reads, on this machine; plugins are loaded, too.

    Raises:
        ClusterError: there is none at that path, or another one.
        GraphError: see `load_graph`.
    """
    load_plugins()
    check_seen(folder, "the graph")
    graph = load_graph(folder)
    if graph.content_hash != content_hash:
        raise ClusterError(
            f"{folder} of {socket.gethostname()} holds another graph than here; every machine of "
            "the cluster must see the same one"
        )
    return graph
