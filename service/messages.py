"""What goes over the wire for a classification.

Structs, not pydantic models: decoding, checking and encoding them is most of what a stored node
costs, and msgspec does it several times faster. Their JSON schema is in the OpenAPI document.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from service.errors import Detail, InvalidFieldError, MalformedJsonError, ServiceError

Route = Literal["student"]


class Node(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A stored node by its id, or an unseen one by its text and its stored neighbors."""

    id: Annotated[
        str | None,
        Meta(description="Of a stored node. Beside a text it is only echoed."),
    ] = None
    text: Annotated[
        str | None,
        Meta(description="Of an unseen node; the first line is its title."),
    ] = None
    neighbors: Annotated[
        tuple[str, ...],
        Meta(description="Ids of stored nodes that the unseen node is linked to, in any order."),
    ] = ()


class ClassifyRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The nodes to classify, and how."""

    nodes: Annotated[tuple[Node, ...], Meta(min_length=1)]
    route: Annotated[Route, Meta(description="Who answers.")] = "student"
    top_k: Annotated[
        int, Meta(ge=1, description="How many labels to list for each node, best first.")
    ] = 1


class ErrorDetail(Struct, frozen=True):
    """What went wrong."""

    code: Annotated[str, Meta(description="Stable; what clients branch on.")]
    message: Annotated[str, Meta(description="For people; may change.")]
    details: Annotated[
        dict[str, Detail], Meta(description="Named values, for example the field.")
    ] = {}


class ErrorBody(Struct, frozen=True):
    """The body of every answer that is no success."""

    error: ErrorDetail


class LabelScore(Struct, frozen=True):
    """A label and its probability."""

    label: str
    score: float


class Prediction(Struct, frozen=True):
    """The answer for one node; `label` and `score` are null where `error` is set."""

    index: Annotated[int, Meta(description="Position in the request.")]
    id: Annotated[str | None, Meta(description="As sent.")]
    label: Annotated[str | None, Meta(description="The most probable label.")] = None
    score: Annotated[float | None, Meta(description="Its calibrated probability.")] = None
    top: Annotated[tuple[LabelScore, ...], Meta(description="The top_k labels, best first.")] = ()
    route: Annotated[Route, Meta(description="Who answered.")] = "student"
    cached: Annotated[bool, Meta(description="Whether a cache held the answer.")] = False
    error: ErrorDetail | None = None


class ClassifyResponse(Struct, frozen=True):
    """One prediction for each node of the request, in its order."""

    model: str
    model_version: Annotated[str, Meta(description="A digest of the bundle's files.")]
    graph_version: Annotated[int, Meta(description="How many times the graph has changed.")]
    predictions: tuple[Prediction, ...]


encode = msgspec.json.Encoder().encode
request_decoder = msgspec.json.Decoder(ClassifyRequest)


def decode_request(body: bytes | bytearray) -> ClassifyRequest:
    """Parses and checks a body.

    Raises:
        MalformedJsonError: not JSON, or not UTF-8.
        InvalidFieldError: a field is missing, unknown or of a wrong type; it is named.
    """
    try:
        return request_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error


def invalid_field(message: str) -> InvalidFieldError:
    """Turns "Expected `str`, got `int` - at `$.nodes[0].text`" into an error on nodes.0.text."""
    problem, _, path = message.partition(" - at `$")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    own = re.search(r"(?:unknown|required) field `(.*?)`", problem)
    if own:
        field = f"{field}.{own[1]}".lstrip(".")
    return InvalidFieldError(field, problem[:1].lower() + problem[1:])


def error_detail(error: ServiceError) -> ErrorDetail:
    return ErrorDetail(error.code, str(error), error.details)
