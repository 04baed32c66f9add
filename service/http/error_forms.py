"""Bodies of errors, in the form of the API that was called."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from service.messages import ErrorBody, ErrorDetail, InferenceErrorBody

INFERENCE_PATH, OPENAI_PATH, SYSTEM_ONE_PATH = "/v2", "/v1", "/v1/systemone"
MALFORMED = "malformed_json"
ERROR_TYPES = {
    401: "authentication_error",
    403: "authentication_error",
    404: "not_found",
    429: "rate_limit_error",
}
OpenAIErrorType = Literal[
    "invalid_request_error", "authentication_error", "rate_limit_error", "api_error"
]


class OpenAIError(Struct, frozen=True):
    """An error in OpenAI's form."""

    message: Annotated[str, Meta(description="Message for people; may change.")]
    type: OpenAIErrorType
    param: Annotated[str | None, Meta(description="Field at fault, if it is one.")]
    code: Annotated[str, Meta(description="Stable code, the same as on other routes.")]


class OpenAIErrorBody(Struct, frozen=True):
    """The body of every error below /v1, except /v1/systemone."""

    error: OpenAIError


class Failure(Struct, frozen=True):
    """An error in the form of /v1/systemone."""

    error_type: str
    message: Annotated[str, Meta(description="Stable code, a colon, and a message for people.")]


class Violation(Struct, frozen=True):
    """A problem of a request's body."""

    loc: Annotated[tuple[str, ...], Meta(description="`body`, then the path to the field.")]
    msg: str
    type: str


class SystemOneErrorBody(Struct, frozen=True):
    """The body of every error of /v1/systemone."""

    detail: Annotated[
        Failure | tuple[Violation, ...],
        Meta(description="An error; with status 422, a list of the body's problems."),
    ]


def error_kind(path: str) -> type[Struct]:
    """Returns the struct of a path's errors."""
    if path == SYSTEM_ONE_PATH:
        return SystemOneErrorBody
    if below(path, OPENAI_PATH):
        return OpenAIErrorBody
    return InferenceErrorBody if below(path, INFERENCE_PATH) else ErrorBody


def error_body(status: int, detail: ErrorDetail, path: str) -> tuple[int, Struct]:
    """Makes an error in the form of its path; some forms also change the status."""
    kind = error_kind(path)
    if kind is SystemOneErrorBody:
        return system_one_error(status, detail)
    if kind is OpenAIErrorBody:
        return status, openai_error(status, detail)
    if kind is InferenceErrorBody:
        return status, InferenceErrorBody(f"{detail.code}: {detail.message}")
    return status, ErrorBody(detail)


def below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def openai_error(status: int, detail: ErrorDetail) -> OpenAIErrorBody:
    kind: OpenAIErrorType = "invalid_request_error" if status < 500 else "api_error"
    if status in (401, 403):
        kind = "authentication_error"
    elif status == 429:
        kind = "rate_limit_error"
    field = detail.details.get("field")
    param = field if isinstance(field, str) and field else None
    return OpenAIErrorBody(OpenAIError(detail.message, kind, param, detail.code))


def system_one_error(status: int, detail: ErrorDetail) -> tuple[int, SystemOneErrorBody]:
    """Makes an error of /v1/systemone (specification, section 6): a wrong body gives 422."""
    if status != 422 and detail.code != MALFORMED:
        error_type = ERROR_TYPES.get(status, "api_usage_error" if status < 500 else "api_error")
        message = f"{detail.code}: {detail.message}"
        return status, SystemOneErrorBody(Failure(error_type, message))
    field = str(detail.details.get("field", ""))
    way = ("body", *field.split(".")) if field else ("body",)
    return 422, SystemOneErrorBody((Violation(way, detail.message, detail.code),))
