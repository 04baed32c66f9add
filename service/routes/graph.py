"""The operations that read and change the graph."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from service.aside import LARGE_ITEMS, Aside
from service.errors import InvalidFieldError, OverloadedError
from service.http.access import Role
from service.inference.current import Slot
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
from service.routes.operations import Answer, Call, Examples, Operation
from service.telemetry.metrics import Metrics
from understudy.engine.errors import UnknownNodeError
from understudy.engine.state import GraphState
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

KEY_HEADER = "idempotency-key"
HEADERS = {KEY_HEADER: "The same change under the same key is made once, however often it is sent."}
MAX_WAITING = 256  # changes; more are refused


class GraphOperations:
    def __init__(self, slot: Slot, max_mutations: int, metrics: Metrics, aside: Aside) -> None:
        self.slot = slot
        self.aside = aside
        self.max_mutations = max_mutations
        self.metrics = metrics
        self.waiting = 0

    async def apply(self, call: Call, mutations: Sequence[Mutation]) -> Answer:
        """Hands a change to the engine's writer, which carries out together what waits.

        Raises:
            InvalidFieldError: more mutations than allowed.
            OverloadedError: too many changes wait.
            See `Engine.apply` for the others.
        """
        self.check_number(len(mutations))
        if self.waiting >= MAX_WAITING:
            raise OverloadedError("too many changes of the graph are waiting", 1.0)
        outcome = self.slot.engine.submit(mutations, call.header(KEY_HEADER.encode()))
        self.waiting += 1
        try:
            applied = await asyncio.wrap_future(outcome)
        finally:
            self.waiting -= 1
        self.metrics.mutations.add(amount=0 if applied.repeated else len(mutations))
        return Answer(Changed(applied.version, applied.repeated))

    def check_number(self, mutations: int) -> None:
        if mutations > self.max_mutations:
            raise InvalidFieldError("mutations", f"at most {self.max_mutations:,} a request")

    async def get_node(self, call: Call) -> Answer:
        state, row = self.find(call.parameters["id"])
        view = state.graph
        label = view.label(row)
        return Answer(
            StoredNode(
                view.id(row),
                view.text(row),
                view.label_names[label] if label >= 0 else None,
                len(view.neighbors(row)),
                state.version,
            )
        )

    async def get_neighbors(self, call: Call) -> Answer:
        state, row = self.find(call.parameters["id"])
        rows = state.graph.neighbors(row)
        if len(rows) <= LARGE_ITEMS:
            return Answer(named_neighbors(state, row, rows))
        return Answer(await self.aside.run(named_neighbors, state, row, rows))

    def find(self, node_id: str) -> tuple[GraphState, int]:
        state = self.slot.engine.state
        row = state.graph.row_of(node_id)
        if row is None:
            raise UnknownNodeError(node_id)
        return state, row

    async def put_node(self, call: Call) -> Answer:
        body: NodeBody = call.body
        own = call.parameters["id"]
        edges = [AddEdge(own, other) for other in body.neighbors]
        return await self.apply(call, [UpsertNode(own, body.text, body.label), *edges])

    async def delete_node(self, call: Call) -> Answer:
        return await self.apply(call, [DeleteNode(call.parameters["id"])])

    async def add_edge(self, call: Call) -> Answer:
        edge: EdgeBody = call.body
        return await self.apply(call, [AddEdge(edge.source, edge.target)])

    async def remove_edge(self, call: Call) -> Answer:
        edge: EdgeBody = call.body
        return await self.apply(call, [RemoveEdge(edge.source, edge.target)])

    async def mutate(self, call: Call) -> Answer:
        body: MutationsBody = call.body
        self.check_number(len(body.mutations))
        return await self.apply(call, [mutation.mutation() for mutation in body.mutations])

    def operations(self) -> list[Operation]:
        """Reading needs the role read, changing write."""
        return [*self.reading(), *self.changing()]

    def reading(self) -> list[Operation]:
        # The longer path first: an id may hold slashes.
        return [
            Operation(
                name="get_neighbors",
                method="GET",
                path="/nodes/{id:id}/neighbors",
                role=Role.read,
                tag="graph",
                summary="The nodes that a node is linked to",
                handle=self.get_neighbors,
                response=Neighbors,
                statuses=(404,),
                examples=self.node_examples,
            ),
            Operation(
                name="get_node",
                method="GET",
                path="/nodes/{id:id}",
                role=Role.read,
                tag="graph",
                summary="A stored node",
                handle=self.get_node,
                response=StoredNode,
                statuses=(404,),
                examples=self.node_examples,
            ),
        ]

    def changing(self) -> list[Operation]:
        node = NodeBody(text="A new node", neighbors=())
        new = Examples(request=node, parameters={"id": "a-new-node"})
        gone = Examples(parameters={"id": "a-new-node"})
        return [
            change(
                "put_node",
                "PUT",
                "/nodes/{id:id}",
                "Add or change a node",
                self.put_node,
                NodeBody,
                lambda: new,
            ),
            change(
                "delete_node",
                "DELETE",
                "/nodes/{id:id}",
                "Remove a node and its edges",
                self.delete_node,
                None,
                lambda: gone,
            ),
            change(
                "add_edge",
                "POST",
                "/edges",
                "Link two nodes",
                self.add_edge,
                EdgeBody,
                self.edge_examples,
            ),
            change(
                "remove_edge",
                "DELETE",
                "/edges",
                "Unlink two nodes",
                self.remove_edge,
                EdgeBody,
                self.edge_examples,
            ),
            change(
                "mutate",
                "POST",
                "/mutations",
                "Make several changes, all or none",
                self.mutate,
                MutationsBody,
                mutation_examples,
            ),
        ]

    def edge_examples(self) -> Examples:
        view = self.slot.engine.state.graph
        rows = view.live_rows()[:2].tolist()
        return Examples(EdgeBody(view.id(rows[0]), view.id(rows[1])) if len(rows) == 2 else None)

    def node_examples(self) -> Examples:
        view = self.slot.engine.state.graph
        rows = view.live_rows()[:1].tolist()
        return Examples(parameters={"id": view.id(rows[0])} if rows else None)


def named_neighbors(state: GraphState, row: int, rows: NDArray[np.int32]) -> Neighbors:
    """The ids of a node's neighbours.

    Shapes:
        rows: int32 [degree]
    """
    view = state.graph
    names = tuple(view.id(other) for other in rows.tolist())
    return Neighbors(view.id(row), names, state.version)


def change(
    name: str,
    method: str,
    path: str,
    summary: str,
    handle: Callable[[Call], Awaitable[Answer]],
    request: type[Struct] | None,
    examples: Callable[[], Examples],
) -> Operation:
    return Operation(
        name=name,
        method=method,
        path=path,
        role=Role.write,
        tag="graph",
        summary=summary,
        handle=handle,
        request=request,
        response=Changed,
        statuses=(404, 409, 422, 503),
        headers=HEADERS,
        examples=examples,
    )


def mutation_examples() -> Examples:
    first, second = Upsert("one-more", "One more node"), Upsert("another", "Another node")
    return Examples(MutationsBody((first, second, Link("one-more", "another"))))
