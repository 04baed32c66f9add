"""The mutations of a graph, and their JSON form for the log and for clients."""

import json
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from understudy.graph.errors import JournalDamagedError

NodeId = Annotated[str, Meta(min_length=1, description="Id of a node.")]
Text = Annotated[
    str | None, Meta(description="New text, whose first line is the title; null keeps the text.")
]
Label = Annotated[
    str | None, Meta(description="New label, one of the graph's; null keeps the label.")
]


class UpsertNode(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="upsert_node"
):
    """Adds a node, or changes one; None leaves a field as it is. A new node needs a text."""

    id: NodeId
    text: Text = None
    label: Label = None


class DeleteNode(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="delete_node"
):
    """Removes a node and its edges."""

    id: NodeId


class AddEdge(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="add_edge"):
    """Links two nodes; nothing changes if they are linked already."""

    source: NodeId
    target: NodeId


class RemoveEdge(
    Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="remove_edge"
):
    """Unlinks two nodes, which must be linked."""

    source: NodeId
    target: NodeId


Mutation = UpsertNode | DeleteNode | AddEdge | RemoveEdge


def encode_mutations(mutations: Sequence[Mutation]) -> bytes:
    """Encodes the mutations as a JSON array in ASCII; unpaired surrogates survive.

    A repeated idempotency key is recognised by these bytes, also in later releases. They come from
    `json`, because msgspec writes non-ASCII characters as they are and rejects surrogates.
    """
    return json.dumps(msgspec.to_builtins(mutations), separators=(",", ":")).encode("ascii")


def decode_mutations(data: bytes) -> tuple[Mutation, ...]:
    """Decodes the output of `encode_mutations`.

    Raises:
        JournalDamagedError: the data is something else.
    """
    try:
        return msgspec.convert(json.loads(data), tuple[Mutation, ...])
    except (ValueError, msgspec.ValidationError) as error:
        raise JournalDamagedError(f"not a batch of mutations: {error}") from error
