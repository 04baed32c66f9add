"""What goes over the wire to read and to change the graph."""

from typing import Annotated

from msgspec import Meta, Struct

from understudy.graph.mutations import (
    AddEdge,
    DeleteNode,
    Label,
    NodeId,
    RemoveEdge,
    Text,
    UpsertNode,
)


class NodeBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A node to add or to change; a new one needs a text."""

    text: Text = None
    label: Label = None
    neighbors: Annotated[
        tuple[NodeId, ...], Meta(description="Stored nodes to link it to, beside those it has.")
    ] = ()


class EdgeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An undirected edge."""

    source: NodeId
    target: NodeId


# The graph's own mutations, under the names that clients know them by.
class Upsert(UpsertNode, frozen=True):
    """Adds or changes a node."""


class Delete(DeleteNode, frozen=True):
    """Removes a node and its edges."""


class Link(AddEdge, frozen=True):
    """Links two nodes."""


class Unlink(RemoveEdge, frozen=True):
    """Unlinks two nodes."""


class MutationsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes in their order: all of them happen, or none."""

    mutations: Annotated[tuple[Upsert | Delete | Link | Unlink, ...], Meta(min_length=1)]


class Changed(Struct, frozen=True):
    """A change that is visible, and on the disk where the service has a data folder."""

    graph_version: Annotated[int, Meta(description="In which it first shows.")]
    repeated: Annotated[
        bool, Meta(description="It was made before under the same key; nothing was done now.")
    ] = False


class StoredNode(Struct, frozen=True):
    """A node as it is stored."""

    id: str
    text: str
    label: Annotated[str | None, Meta(description="As given, not as predicted.")]
    degree: Annotated[int, Meta(description="Number of neighbors.")]
    graph_version: int


class Neighbors(Struct, frozen=True):
    """The nodes that a node is linked to."""

    id: str
    neighbors: tuple[str, ...]
    graph_version: int
