"""The tools for language models: their arguments, their answers and their functions.

They are independent of the protocol: structs in, structs out, as in the routes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta, Struct

from service.http.decoding_errors import invalid_field
from service.http.exchange import Exchange
from service.messages import ClassifyRequest, ClassifyResponse, Node, encode
from service.parts import Parts
from service.routes.dependencies import in_time
from service.routes.graph import find
from understudy.engine.engine import Engine
from understudy.engine.state import GraphState

DEFINITIONS = "#/$defs/{name}"
SHOWN_LABELS = 50  # in a tool's description
SHOWN_NEIGHBORS = 50  # unless more are requested
MOST_NEIGHBORS = 1_000

Nodes = Annotated[
    tuple[Node, ...], Meta(min_length=1, description="Stored and unseen nodes to classify.")
]


class ClassifyArguments(Struct, frozen=True, forbid_unknown_fields=True):
    """The nodes to classify."""

    nodes: Nodes
    top_k: Annotated[int, Meta(ge=1, description="Number of labels to list, best first.")] = 3


class ExplainArguments(Struct, frozen=True, forbid_unknown_fields=True):
    """The nodes whose answers to explain."""

    nodes: Nodes


class NeighborsArguments(Struct, frozen=True, forbid_unknown_fields=True):
    """The stored node to look around."""

    id: str
    limit: Annotated[
        int, Meta(ge=1, le=MOST_NEIGHBORS, description="Maximum number of neighbors to list.")
    ] = SHOWN_NEIGHBORS


class NamedNode(Struct, frozen=True):
    """A stored node and its predicted label."""

    id: str
    label: str


class Surroundings(Struct, frozen=True):
    """A stored node with its text, its predicted label and its neighbors."""

    id: str
    text: str
    label: str
    degree: Annotated[int, Meta(description="Number of all its neighbors, listed or not.")]
    neighbors: tuple[NamedNode, ...]
    graph_version: int


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool; `run` gets the parts of the service, the exchange and the checked arguments."""

    name: str
    description: str
    takes: type[Struct]
    gives: type[Struct]
    run: Callable[[Parts, Exchange, Any], Awaitable[bytes]]

    async def call(self, parts: Parts, exchange: Exchange, arguments: Any) -> bytes:
        """Runs the tool; returns the answer as JSON.

        Raises:
            InvalidFieldError: the arguments do not match the schema.
            EngineError: as the route of the same purpose.
        """
        try:
            checked = msgspec.convert(arguments, self.takes)
        except msgspec.ValidationError as error:
            raise invalid_field(str(error), self.takes) from error
        return await self.run(parts, exchange, checked)


async def classify(parts: Parts, exchange: Exchange, arguments: ClassifyArguments) -> bytes:
    request = ClassifyRequest(arguments.nodes, top_k=arguments.top_k)
    return (await parts.classifier.respond(exchange, request)).content


async def explain(parts: Parts, exchange: Exchange, arguments: ExplainArguments) -> bytes:
    request = ClassifyRequest(arguments.nodes, explain=True)
    return (await parts.classifier.respond(exchange, request)).content


async def neighbors(parts: Parts, exchange: Exchange, arguments: NeighborsArguments) -> bytes:
    engine = parts.slot.engine
    state, row = find(engine, arguments.id)
    return encode(await in_time(parts, exchange, surroundings, engine, state, row, arguments.limit))


def surroundings(engine: Engine, state: GraphState, row: int, limit: int) -> Surroundings:
    view, names = state.graph, engine.manifest.label_names
    near = view.neighbors(row)
    rows = np.array([row, *near[:limit].tolist()], dtype=np.int64)
    labels = state.best_labels(rows).tolist()
    own, *others = (
        NamedNode(view.id(other), names[label])
        for other, label in zip(rows.tolist(), labels, strict=True)
    )
    return Surroundings(own.id, view.text(row), own.label, len(near), tuple(others), state.version)


TOOLS = (
    Tool(
        "classify",
        "Classifies nodes of the graph: stored nodes by their id, unseen nodes by a text and the "
        "ids of the stored nodes that they are linked to.",
        ClassifyArguments,
        ClassifyResponse,
        classify,
    ),
    Tool(
        "neighbors",
        "Shows a stored node: its text, its predicted label, and its neighbors with their "
        "predicted labels.",
        NeighborsArguments,
        Surroundings,
        neighbors,
    ),
    Tool(
        "explain",
        "Classifies nodes and explains each answer: by how much the label's log-odds fall when a "
        "neighbor, or a word of the text, is left out.",
        ExplainArguments,
        ClassifyResponse,
        explain,
    ),
)


def schema_of(kind: type[Struct]) -> dict[str, Any]:
    """Makes a struct's JSON schema as one object with its definitions."""
    (own,), components = msgspec.json.schema_components([kind], ref_template=DEFINITIONS)
    assert own == {"$ref": DEFINITIONS.format(name=kind.__name__)}
    return {**components.pop(kind.__name__), "$defs": components}


def about(label_names: Sequence[str]) -> str:
    """Lists the labels, for a tool's description."""
    shown = ", ".join(label_names[:SHOWN_LABELS])
    more = len(label_names) - SHOWN_LABELS
    return f" Labels: {shown}{f', and {more} more' if more > 0 else ''}."
