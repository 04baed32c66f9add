"""GraphML, GEXF and GML, read by NetworkX."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.progress import Progress, silent
from understudy.graph.readers.delimited import Row
from understudy.graph.readers.packed import open_bytes

SUFFIXES = (".graphml", ".gexf", ".gml")


def load(path: Path, suffix: str, progress: Progress = silent) -> Any:
    """The file as a NetworkX graph.

    Raises:
        SourceError: the file cannot be read, or NetworkX is not installed.
        BadInputError: it is damaged.
    """
    try:
        import networkx  # type: ignore[import-untyped]
    except ImportError as error:
        raise SourceError(
            f"{path}: reading {suffix} needs NetworkX: pip install 'understudy-gnn[networkx]'"
        ) from error
    read = {
        ".graphml": networkx.read_graphml,
        ".gexf": networkx.read_gexf,
        ".gml": read_gml,
    }[suffix]
    with open_bytes(path, progress) as stream:
        try:
            return read(stream)
        except OSError:
            raise
        except Exception as error:  # each parser raises its own, down to KeyError
            raise BadInputError(
                f"{path}: not a {suffix[1:]} file that NetworkX reads: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error


def read_gml(stream: IO[bytes]) -> Any:
    """GML: nodes are called by their labels where each has its own, else by their numbers.

    NetworkX itself refuses a file whose labels are classes, or that has none.
    """
    import networkx

    graph = networkx.read_gml(stream, label="id")
    labels = dict(graph.nodes(data="label"))
    if None in labels.values() or len(set(labels.values())) < len(labels):
        return graph
    for _, attributes in graph.nodes(data=True):
        del attributes["label"]
    return networkx.relabel_nodes(graph, labels)


def node_rows(graph: Any, suffix: str) -> Iterator[Row]:
    """Every node: its id and its attributes.

    In GEXF a label is what the node is called on screen, never its class; it is `gexf_label` here.
    """
    for number, (node, attributes) in enumerate(graph.nodes(data=True), 1):
        values = {key: value for key, value in attributes.items() if key != "id"}
        if suffix == ".gexf" and "label" in values:
            values["gexf_label"] = values.pop("label")
        yield number, ("id", *values), tuple(map(own_type, (node, *values.values())))


def edge_rows(graph: Any) -> Iterator[Row]:
    """Every edge: its two ends and its attributes."""
    for number, (source, target, attributes) in enumerate(graph.edges(data=True), 1):
        values = {k: v for k, v in attributes.items() if k not in ("source", "target")}
        ends = own_type(source), own_type(target)
        yield number, ("source", "target", *values), (*ends, *values.values())


def own_type(value: Any) -> Any:
    """The value as Python has it, where a graph was made of NumPy's arrays."""
    return value.item() if isinstance(value, np.generic) else value
