"""The routes that read and change the graph."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Header
from numpy.typing import NDArray

from service.aside import LARGE_ITEMS
from service.parts import Parts
from service.routes.dependencies import READ, WRITE, NodeId, Served
from service.routes.graph_messages import (
    Changed,
    EdgeBody,
    Link,
    MutationsBody,
    Neighbors,
    NodeBody,
    StoredNode,
    Upsert,
)
from service.routes.openapi import Examples
from service.routes.structs import JsonBody, StructRoute
from understudy.engine.engine import Engine
from understudy.engine.errors import UnknownNodeError
from understudy.engine.state import GraphState
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

Node = Annotated[NodeBody, Depends(JsonBody(NodeBody))]
Edge = Annotated[EdgeBody, Depends(JsonBody(EdgeBody))]
Mutations = Annotated[MutationsBody, Depends(JsonBody(MutationsBody))]
IdempotencyKey = Annotated[
    str | None,
    Header(
        description="The same change under the same key is made once, however often it is sent."
    ),
]
CHANGE: dict[str, Any] = {
    "dependencies": [WRITE],
    "responses": {404: {}, 409: {}, 422: {}, 503: {}},
}

router = APIRouter(tags=["graph"], route_class=StructRoute)


@router.get(
    "/nodes/{id:id}/neighbors",
    summary="The nodes that a node is linked to",
    dependencies=[READ],
    responses={404: {}},
)
async def get_neighbors(node_id: NodeId, served: Served) -> Neighbors:
    state, row = find(served.slot.engine, node_id)
    rows = state.graph.neighbors(row)
    if len(rows) <= LARGE_ITEMS:
        return named_neighbors(state, row, rows)
    return await served.aside.run(named_neighbors, state, row, rows)


@router.get("/nodes/{id:node}", summary="A stored node", dependencies=[READ], responses={404: {}})
async def get_node(node_id: NodeId, served: Served) -> StoredNode:
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
async def put_node(
    node_id: NodeId, node: Node, served: Served, idempotency_key: IdempotencyKey = None
) -> Changed:
    changes: list[Mutation] = [UpsertNode(node_id, node.text, node.label)]
    changes += [AddEdge(node_id, other) for other in node.neighbors]
    return await served.changes.apply(changes, idempotency_key)


@router.delete("/nodes/{id:node}", summary="Remove a node and its edges", **CHANGE)
async def delete_node(
    node_id: NodeId, served: Served, idempotency_key: IdempotencyKey = None
) -> Changed:
    return await served.changes.apply([DeleteNode(node_id)], idempotency_key)


@router.post("/edges", summary="Link two nodes", **CHANGE)
async def add_edge(edge: Edge, served: Served, idempotency_key: IdempotencyKey = None) -> Changed:
    return await served.changes.apply([AddEdge(edge.source, edge.target)], idempotency_key)


@router.delete("/edges", summary="Unlink two nodes", **CHANGE)
async def remove_edge(
    edge: Edge, served: Served, idempotency_key: IdempotencyKey = None
) -> Changed:
    return await served.changes.apply([RemoveEdge(edge.source, edge.target)], idempotency_key)


@router.post("/mutations", summary="Make several changes, all or none", **CHANGE)
async def mutate(
    body: Mutations, served: Served, idempotency_key: IdempotencyKey = None
) -> Changed:
    served.changes.check_number(len(body.mutations))
    return await served.changes.apply(body.mutations, idempotency_key)


def find(engine: Engine, node_id: str) -> tuple[GraphState, int]:
    """The graph as it is now, and a node's row.

    Raises:
        UnknownNodeError.
    """
    state = engine.state
    row = state.graph.row_of(node_id)
    if row is None:
        raise UnknownNodeError(node_id)
    return state, row


def named_neighbors(state: GraphState, row: int, rows: NDArray[np.int32]) -> Neighbors:
    """The ids of a node's neighbours.

    Shapes:
        rows: int32 [degree]
    """
    view = state.graph
    names = tuple(view.id(other) for other in rows.tolist())
    return Neighbors(view.id(row), names, state.version)


def examples(parts: Parts) -> dict[str, Examples]:
    """Of each operation, about nodes that are there."""
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
