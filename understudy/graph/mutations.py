"""Changes of a graph, one by one, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from understudy.graph.errors import JournalDamagedError


@dataclass(frozen=True, slots=True)
class UpsertNode:
    """Adds a node, or changes one; what is None stays as it is. A new node needs a text."""

    id: str
    text: str | None = None
    label: str | None = None  # one of the graph's label names


@dataclass(frozen=True, slots=True)
class DeleteNode:
    """Removes a node and its edges."""

    id: str


@dataclass(frozen=True, slots=True)
class AddEdge:
    """Links two nodes; nothing changes if they are linked already."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class RemoveEdge:
    """Unlinks two nodes, which must be linked."""

    source: str
    target: str


Mutation = UpsertNode | DeleteNode | AddEdge | RemoveEdge

KINDS: dict[str, type[Mutation]] = {
    "upsert_node": UpsertNode,
    "delete_node": DeleteNode,
    "add_edge": AddEdge,
    "remove_edge": RemoveEdge,
}
NAMES = {kind: name for name, kind in KINDS.items()}


def encode_mutations(mutations: Sequence[Mutation]) -> bytes:
    """The mutations as a JSON array in UTF-8; half characters survive."""
    values = [{"kind": NAMES[type(mutation)], **asdict(mutation)} for mutation in mutations]
    return json.dumps(values, separators=(",", ":")).encode("ascii")


def decode_mutations(data: bytes) -> tuple[Mutation, ...]:
    """What `encode_mutations` wrote.

    Raises:
        JournalDamagedError: something else.
    """
    try:
        values: list[dict[str, Any]] = json.loads(data)
        if not isinstance(values, list):
            raise TypeError("no list")
        return tuple(KINDS[value.pop("kind")](**value) for value in values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalDamagedError(f"not a batch of mutations: {error}") from error
