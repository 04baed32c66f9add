"""What goes over the wire to read and to change the graph."""

from typing import Annotated

from msgspec import Meta, Struct

from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

NodeId = Annotated[str, Meta(min_length=1, description="Of a node.")]
Text = Annotated[str | None, Meta(description="The first line is its title; null keeps it.")]
Label = Annotated[str | None, Meta(description="One of the graph's labels; null keeps it.")]


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


class Upsert(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="upsert_node"):
    """Adds or changes a node."""

    id: NodeId
    text: Text = None
    label: Label = None

    def mutation(self) -> Mutation:
        return UpsertNode(self.id, self.text, self.label)


class Delete(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="delete_node"):
    """Removes a node and its edges."""

    id: NodeId

    def mutation(self) -> Mutation:
        return DeleteNode(self.id)


class Link(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="add_edge"):
    """Links two nodes."""

    source: NodeId
    target: NodeId

    def mutation(self) -> Mutation:
        return AddEdge(self.source, self.target)


class Unlink(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="remove_edge"):
    """Unlinks two nodes."""

    source: NodeId
    target: NodeId

    def mutation(self) -> Mutation:
        return RemoveEdge(self.source, self.target)


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
