"""Reads GraphML, GEXF and GML with NetworkX."""

import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

import numpy as np

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.readers.delimited import Row
from understudy.graph.readers.packed import open_bytes
from understudy.progress import Progress, silent

XML = (".graphml", ".gexf")
SUFFIXES = (*XML, ".gml")


# Gephi's names of GEXF versions; NetworkX knows only one spelling of each.
GEXF_NAMES = re.compile(rb"http://(?:www\.)?gexf\.net/(1\.[123](?:draft)?)(?=[\"'/])")
GRAPH_BEGINS = re.compile(rb"^\s*graph\s*\[", re.MULTILINE)
KNOWN_GEXF = {
    b"1.1draft": b"http://www.gexf.net/1.1draft",
    b"1.2draft": b"http://www.gexf.net/1.2draft",
    b"1.3": b"http://gexf.net/1.3",
}


@dataclass(frozen=True)
class Loaded:
    """A file as a NetworkX graph."""

    graph: Any
    undeclared: frozenset[Any] = frozenset()  # nodes that only edges name, added by NetworkX


def load(path: Path, suffix: str, progress: Progress = silent) -> Loaded:
    """Loads the file as a NetworkX graph.

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
        ".gexf": read_gexf,
        ".gml": read_gml,
    }[suffix]
    with open_bytes(path, progress) as stream:
        try:
            graph = read(stream)
        except OSError:
            raise
        except Exception as error:  # each parser raises its own, including KeyError
            raise BadInputError(
                f"{path}: not a {suffix[1:]} file that NetworkX reads: "
                f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            ) from error
    if suffix not in XML:
        return Loaded(graph)
    with open_bytes(path) as stream:
        declared = check_all_read(path, stream, graph)
    return Loaded(graph, frozenset(node for node in graph if node not in declared))


def read_gexf(stream: IO[bytes]) -> Any:
    """Reads GEXF with any spelling of its version."""
    import networkx

    def known(match: re.Match[bytes]) -> bytes:
        return KNOWN_GEXF.get(match[1], match[0])

    return networkx.read_gexf(io.BytesIO(GEXF_NAMES.sub(known, stream.read())))


def check_all_read(path: Path, stream: IO[bytes], graph: Any) -> set[str]:
    """The ids of the nodes of a file. Refuses a file that NetworkX would read only in part: the
    last of several nodes with one id, or the first of several graphs.

    Raises:
        BadInputError: it is such a file.
    """
    names: set[str] = set()
    for event, element in ElementTree.iterparse(stream, ("start", "end")):
        if event == "end":
            element.clear()
        elif element.tag.rpartition("}")[2] == "node":
            name = element.get("id")
            if name is None:
                raise BadInputError(f"{path}: the node after {len(names):,} others has no id")
            if name in names:
                raise BadInputError(
                    f"{path}: there are two nodes of the id {name!r:.100}; remove or rename one"
                )
            if name not in graph:
                raise BadInputError(
                    f"{path}: the node {name!r:.100} is in a second graph of the file, or in one "
                    "inside a node; one graph can be read: save it by itself"
                )
            names.add(name)
    return names


def read_gml(stream: IO[bytes]) -> Any:
    """Reads GML: nodes are named by their labels if these are unique, otherwise by their numbers.

    NetworkX itself refuses a file whose labels are classes, or that has none; one in UTF-8, as
    Gephi writes it; and an edge that stands twice where the file does not announce it.
    """
    import networkx

    content = stream.read()
    if not content.isascii():
        content = content.decode("utf-8-sig").encode("ascii", "xmlcharrefreplace")
    if b"multigraph" not in content:
        content = GRAPH_BEGINS.sub(rb"\g<0> multigraph 1 ", content, count=1)
    graph = networkx.read_gml(io.BytesIO(content), label="id")
    labels = dict(graph.nodes(data="label"))
    if None in labels.values() or len(set(labels.values())) < len(labels):
        return graph
    for _, attributes in graph.nodes(data=True):
        del attributes["label"]
    return networkx.relabel_nodes(graph, labels)


def node_rows(graph: Any, suffix: str = "", left_out: Collection[Any] = ()) -> Iterator[Row]:
    """Yields the id and the attributes of every node that is not left out.

    In GEXF a label is a display name, not a class, so it becomes `gexf_label`; an attribute named
    like the node's own id becomes `id_attribute`.
    """
    for number, (node, attributes) in enumerate(graph.nodes(data=True), 1):
        if node in left_out:
            continue
        values = apart(attributes, ("id",))
        if suffix == ".gexf" and "label" in values:
            values["gexf_label"] = values.pop("label")
        yield number, ("id", *values), tuple(map(own_type, (node, *values.values())))


def edge_rows(graph: Any) -> Iterator[Row]:
    """Yields the two ends and the attributes of every edge."""
    for number, (source, target, attributes) in enumerate(graph.edges(data=True), 1):
        values = apart(attributes, ("source", "target"))
        ends = own_type(source), own_type(target)
        yield number, ("source", "target", *values), (*ends, *values.values())


def apart(attributes: Mapping[Any, Any], own: Sequence[str]) -> dict[str, Any]:
    """Attributes; those with the same name as the format's own are renamed."""
    return {f"{key}_attribute" if key in own else str(key): v for key, v in attributes.items()}


def own_type(value: Any) -> Any:
    """Converts NumPy scalars to Python values."""
    return value.item() if isinstance(value, np.generic) else value
