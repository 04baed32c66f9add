"""Sends more nodes than one request may hold in several requests, and joins the answers.

The functions are generators: they yield requests and are sent the answers, so that the synchronous
and the asynchronous client share them.
"""

from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from understudy.client import calls
from understudy.client.attempts import Plan
from understudy.client.calls import Request
from understudy.client.errors import InvalidRequestError, RefusedError, UnavailableError
from understudy.client.models import (
    Classification,
    Comparison,
    Node,
    Nodes,
    Prediction,
    RequestLimits,
    Route,
    Rows,
)

FEW = RequestLimits(nodes=1, body_bytes=0)  # sent without asking for the limits first
CHARACTERS = 1_000_000  # of the texts of one request: at most some megabytes
BYTES = 8  # of a body per character, in the worst case
AROUND = 64  # characters of a body per node in addition to its values
# Refusals because none of a request's nodes could be answered.
NODE_ERRORS = {
    "incomplete_node",
    "unknown_node",
    "unknown_neighbor",
    "empty_text",
    "text_too_long",
    "too_many_neighbors",
    "teacher_failed",
}

ROUNDS = 3  # of repeating parts, if the model is replaced meanwhile
Row = TypeVar("Row")


class Answered(Protocol):
    """The answer to one part."""

    @property
    def model_version(self) -> str: ...


Part = TypeVar("Part", bound=Answered)


class Limited(Protocol):
    """A client that remembers the service's limits."""

    limits: RequestLimits | None


def limits_for(nodes: Sequence[Node], client: Limited) -> Plan[RequestLimits, RequestLimits]:
    """Asks for the service's limits once, and not for a single node."""
    if client.limits is None:
        if len(nodes) <= FEW.nodes:
            return FEW
        client.limits = yield calls.limits()
    return client.limits


def classify(
    nodes: Sequence[Node], limits: RequestLimits, route: Route, top_k: int, explain: bool
) -> Plan[Classification, Classification]:
    """Classifies any number of nodes."""
    if explain and limits.explained_nodes > 1:  # at least 2, to leave room for a companion
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
) -> Plan[Rows[Comparison], list[Comparison]]:
    """Asks student and teacher about any number of nodes."""
    _, rows = yield from ask(
        split(nodes, limits),
        lambda part: calls.compare(part, top_k),
        lambda answer: answer.rows,
        lambda row: row.student.error is not None,
    )
    return [
        replace(row, student=at(row.student, index), teacher=at(row.teacher, index))
        for index, row in enumerate(rows)
    ]


def embeddings(
    nodes: Sequence[Node], limits: RequestLimits
) -> Plan[Rows[tuple[float, ...]], list[tuple[float, ...]]]:
    """Gets the embeddings of any number of nodes; one invalid node refuses all."""
    parts = split(nodes, limits)
    answers: list[Rows[tuple[float, ...]]] = []
    for part in parts:
        answers += [(yield calls.embeddings(part))]
    yield from of_one_model(answers, lambda number: calls.embeddings(parts[number]))
    return [row for answer in answers for row in answer.rows]


def at(prediction: Prediction, index: int) -> Prediction:
    return replace(prediction, index=index)


def ask(
    parts: Sequence[Sequence[Node]],
    request: Callable[[Sequence[Node]], Request[Part]],
    rows_of: Callable[[Part], Sequence[Row]],
    failed: Callable[[Row], bool],
) -> Plan[Part, tuple[list[Part], list[Row]]]:
    """Asks part by part; returns the answers, all from one model, and their rows.

    A part with no answerable node is refused as a whole, without a reason for each node. It is sent
    again together with a node that could be answered.
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
        for part, answered_rows in zip(parts, rows, strict=True)
        for node, row in zip(part, answered_rows or (), strict=False)
        if not failed(row)
    )
    companion = next(good, None)
    if refusals and companion is None:
        raise refusals[0]
    sent = list(parts)
    whole: list[Part] = []
    for number, answer in enumerate(answers):
        if answer is None and companion is not None:
            sent[number] = [companion, *parts[number]]
            answer = yield request(sent[number])
        assert answer is not None
        whole.append(answer)
    yield from of_one_model(whole, lambda number: request(sent[number]))
    pairs = zip(whole, sent, parts, strict=True)
    return whole, [
        row for answer, nodes, part in pairs for row in rows_of(answer)[len(nodes) - len(part) :]
    ]


def of_one_model(
    answers: MutableSequence[Part], again: Callable[[int], Request[Part]]
) -> Plan[Part, None]:
    """Repeats the requests of parts that were answered by an older model.

    Scores of two models are calibrated separately, and their embeddings are not comparable.

    Args:
        again: makes the request of a part by its number.

    Raises:
        UnavailableError: the model was replaced repeatedly.
    """
    current = answers[-1].model_version
    for _ in range(ROUNDS):
        old = [n for n, answer in enumerate(answers) if answer.model_version != current]
        if not old:
            return
        for number in old:
            answers[number] = yield again(number)
            current = answers[number].model_version
    if any(answer.model_version != current for answer in answers):
        raise UnavailableError(
            "different models answered parts of this request, as happens while replicas are "
            "replaced one by one; try again when all of them serve the same model"
        )


def split(nodes: Sequence[Node], limits: RequestLimits) -> list[Sequence[Node]]:
    """Puts all nodes in one part if they fit, otherwise in parts with room for one more each."""
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
    """Converts nodes from any accepted form: one or several; an id alone is a stored node.

    Raises:
        InvalidRequestError: an item is neither a node nor an id.
    """
    if isinstance(given, str | Node):
        return [Node(id=given) if isinstance(given, str) else given]
    if isinstance(given, bytes | Mapping) or not isinstance(given, Iterable):
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
