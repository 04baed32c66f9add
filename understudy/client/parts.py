"""More nodes than one request may hold: asked about in several, and answered as one.

The functions are generators: they yield requests and are sent the answers, so that the plain
client and the one for asyncio share them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from understudy.client import calls
from understudy.client.attempts import Plan
from understudy.client.calls import Request
from understudy.client.errors import InvalidRequestError, RefusedError
from understudy.client.models import (
    Classification,
    Comparison,
    Node,
    Nodes,
    Prediction,
    RequestLimits,
    Route,
)

FEW = RequestLimits(nodes=1, body_bytes=0)  # what is sent without asking for limits first
CHARACTERS = 1_000_000  # of the texts of one request: some megabytes at the most
BYTES = 8  # of a body for one of those characters, at the worst
AROUND = 64  # characters of a body for each node beside what it holds
# Refusals that are about a request's nodes, since not one of them could be answered.
NODE_ERRORS = {
    "incomplete_node",
    "unknown_node",
    "unknown_neighbor",
    "empty_text",
    "text_too_long",
    "too_many_neighbors",
    "teacher_failed",
}

Part = TypeVar("Part")
Row = TypeVar("Row")


class Limited(Protocol):
    """Who remembers the service's limits."""

    limits: RequestLimits | None


def limits_for(nodes: Sequence[Node], client: Limited) -> Plan[RequestLimits, RequestLimits]:
    """The service's limits, which are asked for once, and not for the sake of a single node."""
    if client.limits is None:
        if len(nodes) <= FEW.nodes:
            return FEW
        client.limits = yield calls.limits()
    return client.limits


def classify(
    nodes: Sequence[Node], limits: RequestLimits, route: Route, top_k: int, explain: bool
) -> Plan[Classification, Classification]:
    """Classifies any number of nodes."""
    if explain and limits.explained_nodes > 1:  # two, so that there is room for a companion
        limits = replace(limits, nodes=min(limits.nodes, limits.explained_nodes))
    parts, rows = yield from ask(
        split(nodes, limits),
        lambda part: calls.classify(part, route, top_k, explain),
        lambda answer: answer.predictions,
        lambda prediction: prediction.error is not None,
    )
    predictions = tuple(replace(row, index=index) for index, row in enumerate(rows))
    oldest = min(part.graph_version for part in parts)
    return replace(parts[0], graph_version=oldest, predictions=predictions)


def compare(
    nodes: Sequence[Node], limits: RequestLimits, top_k: int
) -> Plan[list[Comparison], list[Comparison]]:
    """Asks student and teacher about any number of nodes."""
    _, rows = yield from ask(
        split(nodes, limits),
        lambda part: calls.compare(part, top_k),
        lambda answer: answer,
        lambda row: row.student.error is not None,
    )
    return [
        replace(row, student=at(row.student, index), teacher=at(row.teacher, index))
        for index, row in enumerate(rows)
    ]


def embeddings(
    nodes: Sequence[Node], limits: RequestLimits
) -> Plan[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """The vectors of any number of nodes; a bad one refuses all."""
    rows: list[tuple[float, ...]] = []
    for part in split(nodes, limits):
        rows += yield calls.embeddings(part)
    return rows


def at(prediction: Prediction, index: int) -> Prediction:
    return replace(prediction, index=index)


def ask(
    parts: Sequence[Sequence[Node]],
    request: Callable[[Sequence[Node]], Request[Part]],
    rows_of: Callable[[Part], Sequence[Row]],
    failed: Callable[[Row], bool],
) -> Plan[Part, tuple[list[Part], list[Row]]]:
    """Asks part by part; the answers, and what they say of each node.

    A part of which no node can be answered is refused as a whole, and does not say why of each.
    It is asked about once more together with a node that could be answered.
    """
    answers: list[Part | None] = []
    refusals: list[RefusedError] = []
    for part in parts:
        try:
            answers.append((yield request(part)))
        except RefusedError as error:
            if len(parts) == 1 or error.code not in NODE_ERRORS:
                raise
            refusals.append(error)
            answers.append(None)
    rows = [None if answer is None else list(rows_of(answer)) for answer in answers]
    good = (
        node
        for part, told in zip(parts, rows, strict=True)
        for node, row in zip(part, told or (), strict=False)
        if not failed(row)
    )
    companion = next(good, None)
    if refusals and companion is None:
        raise refusals[0]
    for number, part in enumerate(parts):
        if answers[number] is None and companion is not None:
            answers[number] = answer = yield request([companion, *part])
            rows[number] = list(rows_of(answer))[1:]
    whole = [answer for answer in answers if answer is not None]
    return whole, [row for told in rows for row in told or ()]


def split(nodes: Sequence[Node], limits: RequestLimits) -> list[Sequence[Node]]:
    """All nodes in one part if they fit, else in parts that leave room for one more each."""
    most = min(CHARACTERS, limits.body_bytes // BYTES)
    if len(nodes) <= limits.nodes and (len(nodes) == 1 or sum(map(characters, nodes)) <= most):
        return [nodes]
    parts: list[list[Node]] = []
    size = 0
    for node in nodes:
        size += characters(node)
        if not parts or len(parts[-1]) >= limits.nodes - 1 or size > most:
            parts.append([])
            size = characters(node)
        parts[-1].append(node)
    return list(parts)


def characters(node: Node) -> int:
    return AROUND + len(node.id or "") + len(node.text or "") + sum(map(len, node.neighbors))


def nodes_of(given: Nodes) -> list[Node]:
    """Nodes as they may be given: one or several, an id alone is a stored node.

    Raises:
        InvalidRequestError: something is neither a node nor an id.
    """
    if isinstance(given, str | Node):
        return [Node(id=given) if isinstance(given, str) else given]
    if isinstance(given, bytes | Mapping):
        raise InvalidRequestError(f"nodes is a {type(given).__name__}; give Nodes, or ids")
    nodes = []
    for position, entry in enumerate(given):
        if isinstance(entry, str):
            entry = Node(id=entry)
        elif not isinstance(entry, Node):
            kind = type(entry).__name__
            raise InvalidRequestError(f"nodes[{position}] is a {kind}; give a Node, or an id")
        nodes.append(entry)
    return nodes
