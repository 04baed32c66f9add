"""Requests and answers as plain frozen dataclasses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, TypeVar

from understudy.client.errors import InvalidRequestError

Route = Literal["student", "teacher", "auto"]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Node:
    """A stored node by its id, or an unseen one by its text and its stored neighbors.

    Raises:
        InvalidRequestError: an id or the text is not a string, or `neighbors` is one string.
    """

    id: str | None = None
    text: str | None = None
    neighbors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("id", "text"):
            if getattr(self, name) is not None:
                text_of(name, getattr(self, name))
        object.__setattr__(self, "neighbors", ids_of("neighbors", self.neighbors))

    def to_json(self) -> dict[str, Any]:
        """Converts to the service's JSON; fields without a value are left out."""
        value: dict[str, Any] = {}
        if self.id is not None:
            value["id"] = self.id
        if self.text is not None:
            value["text"] = self.text
        if self.neighbors:
            value["neighbors"] = list(self.neighbors)
        return value


# One node or several; an id alone is a stored node.
Nodes = Node | str | Iterable[Node | str]


def text_of(name: str, value: str) -> str:
    """Raises InvalidRequestError if a value is not a string."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} is a {type(value).__name__}; give a str")
    return value


def ids_of(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Converts several ids to a tuple.

    Raises:
        InvalidRequestError: they are one string instead of a list, or an id is not a string.
    """
    if isinstance(ids, str | bytes):
        raise InvalidRequestError(f"{name} is one text, {ids!r}; put it into a list")
    if not isinstance(ids, Iterable):
        raise InvalidRequestError(f"{name} is a {type(ids).__name__}; give a list of ids")
    result = tuple(ids)
    for entry in result:
        if not isinstance(entry, str):
            raise InvalidRequestError(f"{name} holds {entry!r}; an id is a str")
    return result


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of one request, as the service states them.

    Attributes:
        nodes: per request.
        body_bytes: per request body.
        explained_nodes: per request with explanations; 0: the service gives none.
    """

    nodes: int
    body_bytes: int
    explained_nodes: int = 0


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A stored node."""

    id: str
    text: str
    label: str | None  # given, not predicted
    degree: int
    graph_version: int


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A stored node in a list."""

    id: str
    text: str
    label: str | None  # given, not predicted
    split: str | None  # of the exported graph
    degree: int


@dataclass(frozen=True, slots=True)
class NodePage:
    """Stored nodes in the order of their ids; `next` is the `after` of the next page."""

    nodes: tuple[ListedNode, ...]
    next: str | None
    graph_version: int


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A stored node that a search found."""

    id: str
    title: str  # the first line of its text
    label: str | None  # given, not predicted
    predicted: str  # by the student
    score: float  # calibrated probability
    degree: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Influence:
    """A neighbour's or a word's contribution to an answer: the effect of leaving it out."""

    part: str  # the neighbour's id, or the word
    log_odds: float  # fall of the explained label's log-odds without it; positive: it supports it
    label: str  # the most probable label without it
    score: float  # probability of the explained label without it


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an answer of the student rests on; each list starts with the strongest support."""

    label: str
    log_odds: float  # of the label, with nothing left out
    neighbors: tuple[Influence, ...]
    untried_neighbors: int  # number of neighbours beyond the service's limit
    words: tuple[Influence, ...] | None  # None if a transformer encodes the text
    untried_words: int


@dataclass(frozen=True, slots=True)
class SimilarNode:
    """A stored node similar to another one."""

    id: str
    similarity: float  # cosine of the last hidden states
    label: str  # predicted


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one node; `label` is None if `error` is set."""

    index: int
    id: str | None
    label: str | None
    score: float | None  # calibrated probability; None if a teacher gives none
    top: tuple[LabelScore, ...]
    route: str  # which model answered: student or teacher
    cached: bool
    error: str | None  # error code
    teacher_error: str | None  # with route auto: error code of the teacher, if the student stood in
    error_message: str | None = None  # the error in words
    explanation: Explanation | None = None  # if requested


@dataclass(frozen=True, slots=True)
class Classification:
    """One prediction per node, in order, all from one model.

    `graph_version` is the oldest one, if the nodes were sent in several requests.
    """

    model: str
    model_version: str
    graph_version: int
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an answer; None if unknown."""

    processor_ms: float | None = None  # computing time, for all unseen nodes of the request
    input_tokens: int | None = None  # estimated
    output_tokens: int | None = None
    money: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    student: Prediction
    teacher: Prediction
    agree: bool | None
    student_ms: float
    teacher_ms: float | None
    auto: str | None = None  # the answer that route auto takes: student or teacher
    student_cost: Cost = Cost()
    teacher_cost: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """One request's answers, one per node, and the model that gave them."""

    model_version: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Change:
    """An applied change of the graph."""

    graph_version: int
    repeated: bool  # whether it was applied before under the same key


def parse_explanation(value: Mapping[str, Any]) -> Explanation:
    words = value["words"]
    return Explanation(
        value["label"],
        value["log_odds"],
        parse_influences("id", value["neighbors"]),
        value["untried_neighbors"],
        None if words is None else parse_influences("word", words),
        value["untried_words"],
    )


def parse_influences(name: str, values: Iterable[Mapping[str, Any]]) -> tuple[Influence, ...]:
    return tuple(Influence(v[name], v["log_odds"], v["label"], v["score"]) for v in values)


def parse_similar(value: Mapping[str, Any]) -> tuple[SimilarNode, ...]:
    return tuple(SimilarNode(v["id"], v["similarity"], v["label"]) for v in value["similar"])


def parse_embeddings(value: Mapping[str, Any]) -> Rows[tuple[float, ...]]:
    return Rows(value["model_version"], [tuple(entry["embedding"]) for entry in value["data"]])


def parse_prediction(value: Mapping[str, Any]) -> Prediction:
    error, teacher_error = value["error"], value.get("teacher_error")
    explanation = value.get("explanation")
    return Prediction(
        index=value["index"],
        id=value["id"],
        label=value["label"],
        score=value["score"],
        top=tuple(LabelScore(entry["label"], entry["score"]) for entry in value["top"]),
        route=value["route"],
        cached=value["cached"],
        error=error and error["code"],
        teacher_error=teacher_error and teacher_error["code"],
        error_message=error and error["message"],
        explanation=explanation and parse_explanation(explanation),
    )


def parse_classification(value: Mapping[str, Any]) -> Classification:
    predictions = tuple(parse_prediction(entry) for entry in value["predictions"])
    return Classification(
        value["model"], value["model_version"], value["graph_version"], predictions
    )


def parse_comparisons(value: Mapping[str, Any]) -> Rows[Comparison]:
    comparisons = [
        Comparison(
            parse_prediction(entry["student"]),
            parse_prediction(entry["teacher"]),
            entry["agree"],
            entry["student_ms"],
            entry["teacher_ms"],
            entry.get("auto"),
            parse_cost(entry.get("student_cost", {})),
            parse_cost(entry.get("teacher_cost", {})),
        )
        for entry in value["comparisons"]
    ]
    return Rows(value["model_version"], comparisons)


def parse_cost(value: Mapping[str, Any]) -> Cost:
    return Cost(**{field.name: value.get(field.name) for field in fields(Cost)})


def parse_change(value: Mapping[str, Any]) -> Change:
    return Change(value["graph_version"], value["repeated"])


def parse_node(value: Mapping[str, Any]) -> StoredNode:
    return StoredNode(
        value["id"], value["text"], value["label"], value["degree"], value["graph_version"]
    )


def parse_page(value: Mapping[str, Any]) -> NodePage:
    nodes = tuple(ListedNode(**named(ListedNode, entry)) for entry in value["nodes"])
    return NodePage(nodes, value["next"], value["graph_version"])


def parse_found(value: Mapping[str, Any]) -> tuple[FoundNode, ...]:
    return tuple(FoundNode(**named(FoundNode, entry)) for entry in value["nodes"])


def named(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Selects the fields of a dataclass from an answer, which may have more."""
    return {field.name: value[field.name] for field in fields(kind)}


def parse_neighbors(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(value["neighbors"])


def parse_limits(info: Mapping[str, Any]) -> RequestLimits:
    """Reads the limits from the answer of `/info`."""
    limits = info["limits"]
    return RequestLimits(limits["nodes"], limits["body_bytes"], limits.get("explained_nodes", 0))
