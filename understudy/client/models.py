"""What is asked and answered, as plain frozen dataclasses."""

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
        InvalidRequestError: an id or the text is no text, or `neighbors` is one.
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
        """As the service reads it; what is not said is left out."""
        value: dict[str, Any] = {}
        if self.id is not None:
            value["id"] = self.id
        if self.text is not None:
            value["text"] = self.text
        if self.neighbors:
            value["neighbors"] = list(self.neighbors)
        return value


# What is asked about: one node or several; an id alone is a stored node.
Nodes = Node | str | Iterable[Node | str]


def text_of(name: str, value: str) -> str:
    """Raises InvalidRequestError where a value is no text."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} is a {type(value).__name__}; give a str")
    return value


def ids_of(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Several ids, and not the characters of one.

    Raises:
        InvalidRequestError: they are one text, or something in them is none.
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
    """What one request may hold, as the service says.

    Attributes:
        nodes: in one request.
        body_bytes: of one request's body.
        explained_nodes: in one request that asks for explanations; 0: it gives none.
    """

    nodes: int
    body_bytes: int
    explained_nodes: int = 0


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A node as it is stored."""

    id: str
    text: str
    label: str | None  # as given, not as predicted
    degree: int
    graph_version: int


@dataclass(frozen=True, slots=True)
class ListedNode:
    """A stored node in a list."""

    id: str
    text: str
    label: str | None  # as given, not as predicted
    split: str | None  # of the graph as it was exported
    degree: int


@dataclass(frozen=True, slots=True)
class NodePage:
    """Stored nodes in the order of their ids; `next` is what `after` is of the next page."""

    nodes: tuple[ListedNode, ...]
    next: str | None
    graph_version: int


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A stored node that was looked for."""

    id: str
    title: str  # the first line of its text
    label: str | None  # as given
    predicted: str  # by the student
    score: float  # calibrated probability
    degree: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    label: str
    score: float


@dataclass(frozen=True, slots=True)
class Influence:
    """What a neighbour or a word contributes to an answer, by leaving it out."""

    part: str  # the neighbour's id, or the word
    log_odds: float  # how far the explained label's fall without it; positive: it speaks for it
    label: str  # the most probable one without it
    score: float  # probability of the explained label without it


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an answer of the student rests on; what speaks most for the label stands first."""

    label: str
    log_odds: float  # of it, with everything in its place
    neighbors: tuple[Influence, ...]
    untried_neighbors: int  # further ones, beyond the service's limit
    words: tuple[Influence, ...] | None  # None where a transformer reads the text
    untried_words: int


@dataclass(frozen=True, slots=True)
class SimilarNode:
    """A stored node near another."""

    id: str
    similarity: float  # cosine of the last hidden states
    label: str  # as predicted


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one node; `label` is None where `error` is set."""

    index: int
    id: str | None
    label: str | None
    score: float | None  # calibrated probability; None where a teacher tells none
    top: tuple[LabelScore, ...]
    route: str  # who answered: student or teacher
    cached: bool
    error: str | None  # its code
    teacher_error: str | None  # its code: on route auto, why the student answered although unsure
    error_message: str | None = None  # what `error` says, for people
    explanation: Explanation | None = None  # where it was asked for


@dataclass(frozen=True, slots=True)
class Classification:
    """One prediction a node, in their order, all of one model.

    `graph_version` is the oldest, where the nodes went in several requests.
    """

    model: str
    model_version: str
    graph_version: int
    predictions: tuple[Prediction, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer took; None where it is not known."""

    processor_ms: float | None = None  # of computing, for all unseen nodes of the request
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
    auto: str | None = None  # whose answer the route auto takes: student or teacher
    student_cost: Cost = Cost()
    teacher_cost: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Rows(Generic[Row]):
    """What one request was answered with for each of its nodes, and by which model."""

    model_version: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the graph that was made."""

    graph_version: int
    repeated: bool  # it was made before under the same key


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
    """The fields of a dataclass in an answer, which may have more."""
    return {field.name: value[field.name] for field in fields(kind)}


def parse_neighbors(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(value["neighbors"])


def parse_limits(info: Mapping[str, Any]) -> RequestLimits:
    """The limits in what the service says of itself."""
    limits = info["limits"]
    return RequestLimits(limits["nodes"], limits["body_bytes"], limits.get("explained_nodes", 0))
