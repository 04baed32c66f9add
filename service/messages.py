"""Requests and answers of a classification.

They are structs rather than pydantic models: decoding, checking and encoding them dominates the
cost of a look-up, and msgspec is several times faster. Their JSON schema is in the OpenAPI
document.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from service.errors import NoNodeError
from understudy.engine.errors import Detail, EngineError, NodeError
from understudy.engine.explanations import Explanation
from understudy.engine.requests import Form, LabelScore

Route = Literal["student", "teacher", "auto"]
AnsweredBy = Literal["student", "teacher"]
LONGEST_ECHO = 65_536  # characters of a requested id; old graphs may have long ones
LONGEST_NAME = 2_048  # characters of a client's name for a request or a question
Name = Annotated[str, Meta(max_length=LONGEST_NAME)]


class Node(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stored node by its id, or an unseen one by its text and its stored neighbors."""

    id: Annotated[
        Annotated[str, Meta(max_length=LONGEST_ECHO)] | None,
        Meta(
            description="Id of a stored node. With a text, the node is unseen and the id is only "
            "echoed."
        ),
    ] = None
    text: Annotated[
        str | None,
        Meta(description="Text of an unseen node; its first line is the title."),
    ] = None
    neighbors: Annotated[
        tuple[str, ...],
        Meta(description="Ids of stored nodes that the unseen node is linked to, in any order."),
    ] = ()


class ClassifyRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The nodes to classify, with options."""

    nodes: Annotated[tuple[Node, ...], Meta(min_length=1)]
    route: Annotated[
        Route,
        Meta(description="Which model answers; auto asks the teacher if the student is unsure."),
    ] = "student"
    top_k: Annotated[
        int, Meta(ge=1, description="How many labels to list for each node, best first.")
    ] = 1
    explain: Annotated[
        bool,
        Meta(description="Explain the student's answers; costs at least one batch."),
    ] = False


class ErrorDetail(Struct, frozen=True):
    """An error."""

    code: Annotated[str, Meta(description="Stable code for clients to branch on.")]
    message: Annotated[str, Meta(description="Message for people; may change.")]
    details: Annotated[
        dict[str, Detail], Meta(description="Named values, for example the field.")
    ] = {}


class ErrorBody(Struct, frozen=True):
    """The body of every error."""

    error: ErrorDetail


class InferenceErrorBody(Struct, frozen=True):
    """The body of every error below /v2."""

    error: Annotated[str, Meta(description="A stable code, a colon, and a message.")]


class Prediction(Struct, frozen=True):
    """The answer for one node; `label` and `score` are null if `error` is set."""

    index: Annotated[int, Meta(description="Position in the request.")]
    id: Annotated[str | None, Meta(description="Id as in the request.")]
    label: Annotated[str | None, Meta(description="The most probable label.")] = None
    score: Annotated[
        float | None,
        Meta(description="Calibrated probability of the label; null if the teacher gives none."),
    ] = None
    top: Annotated[tuple[LabelScore, ...], Meta(description="The top_k labels, best first.")] = ()
    route: Annotated[AnsweredBy, Meta(description="Which model answered.")] = "student"
    cached: Annotated[bool, Meta(description="Whether a cache held the teacher's answer.")] = False
    error: ErrorDetail | None = None
    teacher_error: Annotated[
        ErrorDetail | UnsetType,
        Meta(description="With route auto: why the teacher could not answer instead."),
    ] = UNSET
    explanation: Annotated[
        Explanation | UnsetType,
        Meta(description="Explanation of the student's answer, if requested."),
    ] = UNSET


class ClassifyResponse(Struct, frozen=True):
    """One prediction for each node of the request, in its order."""

    model: str
    model_version: Annotated[str, Meta(description="A digest of the bundle's files.")]
    graph_version: Annotated[int, Meta(description="Number of changes of the graph.")]
    predictions: tuple[Prediction, ...]


class CompareRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The nodes that both models classify."""

    nodes: Annotated[tuple[Node, ...], Meta(min_length=1)]
    top_k: Annotated[int, Meta(ge=1, description="How many labels to list for each answer.")] = 1


class Cost(Struct, frozen=True):
    """The cost of an answer; null if unknown."""

    processor_ms: Annotated[
        float | None,
        Meta(description="Milliseconds of computing for all unseen nodes; 0 for look-ups."),
    ] = None
    input_tokens: Annotated[
        int | None,
        Meta(description="Tokens that the teacher read, estimated as four characters each."),
    ] = None
    output_tokens: Annotated[
        int | None, Meta(description="Tokens that the teacher wrote, estimated in the same way.")
    ] = None
    money: Annotated[
        float | None,
        Meta(
            description="Cost of the teacher's answers, by --teacher-input-price and "
            "--teacher-output-price."
        ),
    ] = None


class Comparison(Struct, frozen=True):
    """Both answers for one node."""

    index: Annotated[int, Meta(description="Position in the request.")]
    student: Prediction
    teacher: Prediction
    agree: Annotated[
        bool | None,
        Meta(
            description="Whether student and teacher give the same label; null if one of them has "
            "no answer."
        ),
    ]
    student_ms: Annotated[
        float, Meta(description="Milliseconds until the student had answered all nodes.")
    ]
    teacher_ms: Annotated[
        float | None, Meta(description="Milliseconds of this question to the teacher.")
    ]
    auto: Annotated[
        AnsweredBy | None,
        Meta(description="The model whose answer route auto takes; null if there is no answer."),
    ]
    student_cost: Cost
    teacher_cost: Cost


class CompareResponse(Struct, frozen=True):
    """One comparison for each node of the request, in its order."""

    model: str
    model_version: str
    graph_version: int
    comparisons: tuple[Comparison, ...]


encode = msgspec.json.Encoder().encode


def error_detail(error: EngineError) -> ErrorDetail:
    return ErrorDetail(error.code, str(error), error.details)


def refused(index: int, name: str | None, error: NodeError) -> Prediction:
    return Prediction(index, name, error=error_detail(error))


def refuse_if_any_failed(predictions: Sequence[Prediction]) -> None:
    """Raises the first node's error as the request's, for APIs without errors per node.

    Raises:
        NoNodeError: the first invalid node's error.
    """
    for prediction in predictions:
        if (error := prediction.error) is not None:
            message = f"node {prediction.index}: {error.message}"
            raise NoNodeError(error.code, message, error.details)


STUDENTS = Form(Prediction, refused)  # the student's predictions, built as structs of the answer
