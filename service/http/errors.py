"""Errors as answers: the table from errors to statuses, and the making of the body."""

from collections.abc import Mapping
from math import ceil

from starlette.responses import Response

from service import errors
from service.http.error_forms import error_body
from service.http.exchange import JSON
from service.messages import ErrorDetail, encode
from understudy.engine import errors as engine_errors
from understudy.engine.errors import EngineError

INTERNAL_ERROR = "internal_error"

STATUS_OF: dict[type[EngineError], int] = {
    errors.MalformedHttpError: 400,
    errors.MalformedJsonError: 400,
    errors.MalformedMessageError: 400,
    errors.MalformedPathError: 400,
    errors.MalformedEncodingError: 400,
    errors.NoUpstreamError: 400,
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.ForeignOriginError: 403,
    errors.UnknownMethodError: 404,
    errors.UnknownModelError: 404,
    engine_errors.UnknownNodeError: 404,
    engine_errors.UnknownNeighborError: 404,
    engine_errors.MutationTargetError: 404,
    errors.SlowBodyError: 408,
    errors.ReloadRunningError: 409,
    engine_errors.KeyReusedError: 409,
    errors.BodyTooLargeError: 413,
    errors.MessageNotReadError: 413,
    errors.TargetTooLongError: 414,
    errors.MediaTypeError: 415,
    errors.EncodingError: 415,
    errors.ForeignHostError: 421,
    errors.ReloadError: 422,
    errors.InvalidFieldError: 422,
    engine_errors.MutationRefusedError: 422,
    engine_errors.IncompleteNodeError: 422,
    engine_errors.EmptyTextError: 422,
    engine_errors.TextTooLongError: 422,
    engine_errors.TooManyNeighborsError: 422,
    errors.TeacherError: 424,
    errors.OverloadedError: 429,
    errors.TeacherBusyError: 429,
    errors.RateLimitedError: 429,
    errors.HeadTooLargeError: 431,
    engine_errors.InferenceError: 500,
    errors.UpstreamError: 502,
    engine_errors.NotReadyError: 503,
    errors.ConnectionsError: 503,
    errors.VersionNotReachedError: 503,
    errors.WorkerGoneError: 503,
    engine_errors.JournalFailedError: 503,
    engine_errors.LogUnavailableError: 503,
    engine_errors.ChangeUnsureError: 503,
    errors.DeadlineError: 504,
}
# Errors that the operator has to fix, although the client is only told to try again. The log has
# them with folders and addresses.
OURS_TO_MEND = (engine_errors.JournalFailedError, engine_errors.ChangeUnsureError)
STATUS_OF_CODE = {kind.code: status for kind, status in STATUS_OF.items()}
# Seconds, for a node's error that became the request's; other errors carry their own.
RETRY_OF_CODE = {kind.code: kind.retry_after for kind in STATUS_OF}
LOG_AWAY = "the log is unavailable; nothing was done, and the graph can still be read"
# Codes of errors from routing.
CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed"}


def status_of(error: EngineError) -> int:
    """Finds an error's status; 500 if it is not in the table, which is a defect of ours."""
    return STATUS_OF_CODE.get(errors.code_of(error), 500)


def told(error: EngineError) -> str:
    """Gives the message that a client is told: without folders and addresses of the service."""
    if isinstance(error, engine_errors.LogUnavailableError):
        return LOG_AWAY  # its own words end with the driver's
    message = str(error)
    return errors.without_places(message) if isinstance(error, OURS_TO_MEND) else message


def error_response(
    status: int, detail: ErrorDetail, path: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Makes the answer of an error, in the form of the path's API; see `error_body`."""
    status, body = error_body(status, detail, path)
    return Response(encode(body), status, headers, media_type=JSON)


def failure_response(error: Exception, path: str) -> Response:
    """Makes the answer of any exception; the details of unexpected ones are only in the log.

    Args:
        path: of the request.
    """
    if not isinstance(error, EngineError):
        message = "internal error; the log has it under this request's id"
        return error_response(500, ErrorDetail(INTERNAL_ERROR, message), path)
    headers = {}
    seconds = error.retry_after or RETRY_OF_CODE.get(errors.code_of(error))
    if seconds is not None:
        headers["retry-after"] = str(ceil(seconds))
    if isinstance(error, errors.UnauthorizedError):
        headers["www-authenticate"] = "Bearer"
    detail = ErrorDetail(errors.code_of(error), told(error), error.details)
    return error_response(status_of(error), detail, path, headers)
