"""Reads the served graph, at one position of its log."""

from dataclasses import replace
from pathlib import Path

from understudy.folders.places import is_address
from understudy.graph.building.reading import read_of, reading_of
from understudy.graph.errors import BadInputError
from understudy.graph.mutable.stream import read_graph
from understudy.graph.text_graph import TextGraph
from understudy.progress import Progress, step


def is_service(source: str) -> bool:
    """Whether the source is a service; otherwise it is a data folder.

    Raises:
        BadInputError: it is neither.
    """
    if is_address(source):
        return True
    if not Path(source).is_dir():
        raise BadInputError(
            f"{source} is neither a folder nor an address such as http://127.0.0.1:8000; give a "
            "service's address or its data folder"
        )
    return False


def graph_of_service(url: str, key: str | None, timeout: float, progress: Progress) -> TextGraph:
    """Reads the current graph of a service.

    Args:
        timeout: seconds that it may be silent.

    Raises:
        ClientError: the URL is invalid, or the service refuses or stops.
        BadInputError: its answer is not a complete graph, or the graph has no node.
    """
    from understudy.client import Client

    with step(progress, "Reading the service's graph"), Client(url, key, timeout) as client:
        with client.graph_lines() as lines:
            graph = not_empty(read_graph(lines, client.where), client.where)
        return replace(graph, reading=reading_of(*read_of(client.info())))


def graph_of_folder(
    data: Path, bundle: Path | None, progress: Progress, redis: str = ""
) -> TextGraph:
    """Reads the graph of a data folder, whether it is being served or not; runs no network.

    Args:
        bundle: the bundle that the folder's changes start from; None if the folder has a snapshot.
        redis: URL of the log; "" if the log is a file in the folder.

    Raises:
        BadInputError: the graph has no node.
        BundleError, EngineError, GraphError: see `understudy.engine.opening.stored_graph`.
    """
    from understudy.engine.opening import stored_graph

    with step(progress, "Reading the data folder"):
        return not_empty(stored_graph(data, bundle, redis), str(data))


def not_empty(graph: TextGraph, where: str) -> TextGraph:
    """Returns the graph if it has nodes.

    Raises:
        BadInputError: all of its nodes were removed.
    """
    if not graph.num_nodes:
        raise BadInputError(f"{where}: the graph has no node any more, so no model can learn it")
    return graph
