"""Routes that read and change the graph, with their requests and answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Header
from msgspec import Meta, Struct
from numpy.typing import NDArray

from service.errors import InvalidFieldError
from service.http.access import Role
from service.http.bodies import LARGE_ITEMS
from service.http.exchange import IDEMPOTENCY_KEY, EncodedResponse, Exchange, JsonBody
from service.http.gateway import Direct
from service.http.repeats import OnceBody
from service.parts import Parts
from service.routes.dependencies import READ, WRITE, PathId, Served, Timed
from service.routes.queries import NO_QUERY
from service.routes.structs import Examples, StructRoute
from understudy.engine.engine import Engine
from understudy.engine.errors import MutationItemError, UnknownNodeError
from understudy.engine.state import GraphState
from understudy.graph.mutations import (
    AddEdge,
    DeleteNode,
    Label,
    Mutation,
    NodeId,
    RemoveEdge,
    Text,
    UpsertNode,
)

CHANGE: dict[str, Any] = {
    "dependencies": [WRITE],
    "responses": {404: {}, 409: {}, 422: {}, 503: {}, 504: {}},
}
CONDITIONS = (b"if-match", b"if-none-match", b"if-unmodified-since")
router = APIRouter(tags=["graph"], route_class=StructRoute)


class NodeBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A node to add or change; a new one needs a text."""

    text: Text = None
    label: Label = None
    neighbors: Annotated[
        tuple[NodeId, ...],
        Meta(
            description="Ids of stored nodes to link the node to, in addition to its existing "
            "edges."
        ),
    ] = ()


class EdgeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """An undirected edge."""

    source: NodeId
    target: NodeId


# The mutations of the graph, with the type names that clients use.
class Upsert(UpsertNode, frozen=True):
    """Adds or changes a node."""


class Delete(DeleteNode, frozen=True):
    """Removes a node and its edges."""


class Link(AddEdge, frozen=True):
    """Adds an edge between two nodes."""


class Unlink(RemoveEdge, frozen=True):
    """Removes the edge between two nodes."""


class MutationsBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Changes in their order: all are applied, or none."""

    mutations: Annotated[tuple[Upsert | Delete | Link | Unlink, ...], Meta(min_length=1)]


class Changed(Struct, frozen=True):
    """A visible change, which is durable if the service has a data folder."""

    graph_version: Annotated[int, Meta(description="First graph version that includes the change.")]
    repeated: Annotated[
        bool,
        Meta(
            description="Whether the change was made before under this idempotency key, so that "
            "nothing was done now."
        ),
    ] = False


class StoredNode(Struct, frozen=True):
    """A stored node."""

    id: str
    text: str
    label: Annotated[str | None, Meta(description="The given label, not the predicted one.")]
    degree: Annotated[int, Meta(description="Number of neighbors.")]
    graph_version: int


class Neighbors(Struct, frozen=True):
    """The neighbors of a node."""

    id: str
    neighbors: tuple[str, ...]
    graph_version: int


def key_of(exchange: Exchange) -> str | None:
    """Reads the idempotency key of a request."""
    sent = exchange.headers.get(IDEMPOTENCY_KEY)
    return None if sent is None else sent.decode("latin-1")


async def changing_exchange(
    exchange: Timed,
    _: Annotated[
        str | None,
        Header(
            alias=IDEMPOTENCY_KEY.decode(),
            description="Key under which this change is made only once, however often it is sent.",
        ),
    ] = None,
) -> Exchange:
    """Returns the exchange; it reads the header itself when the change is made."""
    return exchange


EDGE_BODY = OnceBody(EdgeBody)
MUTATIONS_BODY = OnceBody(MutationsBody)
Node = Annotated[NodeBody, Depends(OnceBody(NodeBody))]
Edge = Annotated[EdgeBody, Depends(EDGE_BODY)]
Mutations = Annotated[MutationsBody, Depends(MUTATIONS_BODY)]
Changing = Annotated[Exchange, Depends(changing_exchange)]


@router.get(
    "/nodes/{id:id}/neighbors",
    summary="List the neighbors of a node",
    dependencies=[READ],
    responses={404: {}},
)
async def get_neighbors(node_id: PathId, served: Served) -> Neighbors:
    state, row = find(served.slot.engine, node_id)
    rows = state.graph.neighbors(row)
    if len(rows) <= LARGE_ITEMS:
        return named_neighbors(state, row, rows)
    return await served.executor.run(named_neighbors, state, row, rows)


@router.get(
    "/nodes/{id:node}", summary="Get a stored node", dependencies=[READ], responses={404: {}}
)
async def get_node(node_id: PathId, served: Served) -> StoredNode:
    state, row = find(served.slot.engine, node_id)
    view = state.graph
    label = view.label(row)
    return StoredNode(
        view.id(row),
        view.text(row),
        view.label_names[label] if label >= 0 else None,
        len(view.neighbors(row)),
        state.version,
    )


@router.put("/nodes/{id:node}", summary="Add or change a node", **CHANGE)
async def put_node(node_id: PathId, node: Node, served: Served, exchange: Changing) -> Changed:
    most = served.changes.max_mutations - 1
    if len(node.neighbors) > most:
        problem = f"at most {most:,} per request; link more with further requests"
        raise InvalidFieldError("neighbors", problem)
    changes: list[Mutation] = [UpsertNode(node_id, node.text, node.label)]
    changes += [AddEdge(node_id, other) for other in node.neighbors]
    return await make(served, exchange, changes, one=True)


@router.delete("/nodes/{id:node}", summary="Remove a node and its edges", **CHANGE)
async def delete_node(node_id: PathId, served: Served, exchange: Changing) -> Changed:
    return await make(served, exchange, [DeleteNode(node_id)], one=True)


@router.post("/edges", summary="Link two nodes", **CHANGE)
async def add_edge(edge: Edge, served: Served, exchange: Changing) -> Changed:
    return await make(served, exchange, [AddEdge(edge.source, edge.target)], one=True)


@router.delete("/edges", summary="Unlink two nodes", **CHANGE)
async def remove_edge(edge: Edge, served: Served, exchange: Changing) -> Changed:
    return await make(served, exchange, [RemoveEdge(edge.source, edge.target)], one=True)


@router.post("/mutations", summary="Make several changes, all or none of them", **CHANGE)
async def mutate(body: Mutations, served: Served, exchange: Changing) -> Changed:
    return await make(served, exchange, body.mutations)


def direct(parts: Parts) -> dict[tuple[str, str], Direct]:
    """Makes the direct routes with fixed paths, for the gateway."""

    def of(change: Callable[[Any, Parts, Exchange], Awaitable[Changed]], body: JsonBody) -> Direct:
        async def answer(exchange: Exchange, requested: Any) -> EncodedResponse:
            return EncodedResponse(await change(requested, parts, exchange))

        return Direct(
            change.__name__,
            Role.write,
            parts.access,
            NO_QUERY.read,
            body,
            answer,
            parts.freshness.reach,
        )

    return {
        ("POST", "/edges"): of(add_edge, EDGE_BODY),
        ("DELETE", "/edges"): of(remove_edge, EDGE_BODY),
        ("POST", "/mutations"): of(mutate, MUTATIONS_BODY),
    }


def refuse_conditions(exchange: Exchange) -> None:
    """Refuses conditional changes, whose condition would be ignored.

    Raises:
        InvalidFieldError.
    """
    for name in CONDITIONS:
        if name in exchange.headers:
            raise InvalidFieldError(
                name.decode(), "conditional requests are not supported; leave this header out"
            )


async def make(
    served: Parts, exchange: Exchange, changes: Sequence[Mutation], one: bool = False
) -> Changed:
    """Applies changes; raises as `refuse_conditions` and `Changes.apply` do.

    Args:
        one: whether the caller sent one change, of a node with its edges or of an edge, so that an
            error names the field that was sent.
    """
    refuse_conditions(exchange)
    wished = exchange.wished_seconds()
    left = None if wished is None else max(wished - exchange.seconds, 0.0)
    try:
        applied = await served.changes.apply(changes, key_of(exchange), left)
    except MutationItemError as error:
        if not one or error.position is None:
            raise
        raise error.sent_as(sent_field(error.position, error.field)) from error
    return Changed(applied.version, applied.repeated)


def sent_field(position: int, field: str) -> str:
    """Names the field from which one change made an item: the edges of a node follow it."""
    return f"neighbors.{position - 1}" if position else field


def find(engine: Engine, node_id: str) -> tuple[GraphState, int]:
    """Returns the current graph state and a node's row.

    Raises:
        UnknownNodeError.
    """
    state = engine.state
    row = state.graph.row_of(node_id)
    if row is None:
        raise UnknownNodeError(node_id, classified=False)
    return state, row


def named_neighbors(state: GraphState, row: int, rows: NDArray[np.int32]) -> Neighbors:
    """Lists the ids of a node's neighbours.

    Shapes:
        rows: int32 [degree]
    """
    view = state.graph
    names = tuple(view.id(other) for other in rows.tolist())
    return Neighbors(view.id(row), names, state.version)


def examples(parts: Parts) -> dict[str, Examples]:
    """Makes examples of each operation about stored nodes."""
    view = parts.slot.engine.state.graph
    names = [view.id(row) for row in view.live_rows()[:2].tolist()]
    edge = Examples(EdgeBody(*names) if len(names) == 2 else None)
    known = Examples(parameters={"id": names[0]} if names else None)
    new = NodeBody(text="A new node", neighbors=())
    first, second = Upsert("one-more", "One more node"), Upsert("another", "Another node")
    return {
        "get_neighbors": known,
        "get_node": known,
        "put_node": Examples(new, parameters={"id": "a-new-node"}),
        "delete_node": Examples(parameters={"id": "a-new-node"}),
        "add_edge": edge,
        "remove_edge": edge,
        "mutate": Examples(MutationsBody((first, second, Link("one-more", "another")))),
    }
