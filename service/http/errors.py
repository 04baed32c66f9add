"""Errors as answers: the one table from errors to statuses, and the one body."""

from collections.abc import Mapping
from math import ceil

from msgspec import Struct
from starlette.responses import Response

from service.errors import (
    BodyTooLargeError,
    ConnectionsError,
    DeadlineError,
    EncodingError,
    ForbiddenError,
    ForeignHostError,
    ForeignOriginError,
    HeadTooLargeError,
    InvalidFieldError,
    MalformedEncodingError,
    MalformedHttpError,
    MalformedJsonError,
    MalformedPathError,
    MediaTypeError,
    NoNodeError,
    OverloadedError,
    RateLimitedError,
    ReloadError,
    ReloadRunningError,
    SlowBodyError,
    TargetTooLongError,
    TeacherBusyError,
    TeacherError,
    UnauthorizedError,
    UnknownModelError,
)
from service.http.exchange import JSON
from service.messages import ErrorBody, ErrorDetail, InferenceErrorBody, encode, error_detail
from understudy.engine.errors import (
    EmptyTextError,
    EngineError,
    IncompleteNodeError,
    InferenceError,
    JournalFailedError,
    KeyReusedError,
    MutationRefusedError,
    MutationTargetError,
    NotReadyError,
    TextTooLongError,
    TooManyNeighborsError,
    UnknownNeighborError,
    UnknownNodeError,
)

INTERNAL_ERROR = "internal_error"

STATUS_OF: dict[type[EngineError], int] = {
    MalformedHttpError: 400,
    MalformedJsonError: 400,
    MalformedPathError: 400,
    MalformedEncodingError: 400,
    UnauthorizedError: 401,
    ForbiddenError: 403,
    ForeignOriginError: 403,
    UnknownModelError: 404,
    UnknownNodeError: 404,
    UnknownNeighborError: 404,
    MutationTargetError: 404,
    SlowBodyError: 408,
    ReloadRunningError: 409,
    KeyReusedError: 409,
    BodyTooLargeError: 413,
    TargetTooLongError: 414,
    MediaTypeError: 415,
    EncodingError: 415,
    ForeignHostError: 421,
    ReloadError: 422,
    InvalidFieldError: 422,
    MutationRefusedError: 422,
    IncompleteNodeError: 422,
    EmptyTextError: 422,
    TextTooLongError: 422,
    TooManyNeighborsError: 422,
    TeacherError: 424,
    OverloadedError: 429,
    TeacherBusyError: 429,
    RateLimitedError: 429,
    HeadTooLargeError: 431,
    InferenceError: 500,
    NotReadyError: 503,
    ConnectionsError: 503,
    JournalFailedError: 503,
    DeadlineError: 504,
}
STATUS_OF_CODE = {kind.code: status for kind, status in STATUS_OF.items()}
# Of errors that come from the routing itself.
CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed"}
INFERENCE_PATH = "/v2"


def status_of(error: EngineError) -> int:
    """An error that no request should meet is a defect of ours: 500."""
    return STATUS_OF_CODE.get(error.code, 500)


def error_response(
    status: int, detail: ErrorDetail, path: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The one error body; for the Open Inference Protocol's clients a text, as it says."""
    body: Struct = ErrorBody(detail)
    if path == INFERENCE_PATH or path.startswith(f"{INFERENCE_PATH}/"):
        body = InferenceErrorBody(f"{detail.code}: {detail.message}")
    return Response(encode(body), status, headers, media_type=JSON)


def failure_response(error: Exception, path: str) -> Response:
    """Any exception as an answer; one that is not ours says nothing, the log has it.

    Args:
        path: that was asked.
    """
    if not isinstance(error, EngineError):
        message = "something went wrong here; the log has it under this request's id"
        return error_response(500, ErrorDetail(INTERNAL_ERROR, message), path)
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(ceil(error.retry_after))
    if isinstance(error, UnauthorizedError):
        headers["www-authenticate"] = "Bearer"
    detail, status = error_detail(error), status_of(error)
    if isinstance(error, NoNodeError):
        detail = ErrorDetail(error.node_code, str(error), error.details)
        status = STATUS_OF_CODE.get(error.node_code, 500)
    return error_response(status, detail, path, headers)
