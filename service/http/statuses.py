"""The one table from errors to HTTP statuses."""

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


def status_of(error: EngineError) -> int:
    """An error that no request should meet is a defect of ours: 500."""
    return STATUS_OF_CODE.get(error.code, 500)
