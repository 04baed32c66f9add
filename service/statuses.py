"""The one table from errors to HTTP statuses."""

from service.errors import (
    BodyTooLargeError,
    EmptyTextError,
    IncompleteNodeError,
    InferenceError,
    InvalidFieldError,
    MalformedJsonError,
    NotReadyError,
    ServiceError,
    TextTooLongError,
    TooManyNeighborsError,
    UnknownNeighborError,
    UnknownNodeError,
)

INTERNAL_ERROR = "internal_error"

STATUS_OF: dict[type[ServiceError], int] = {
    MalformedJsonError: 400,
    UnknownNodeError: 404,
    UnknownNeighborError: 404,
    BodyTooLargeError: 413,
    InvalidFieldError: 422,
    IncompleteNodeError: 422,
    EmptyTextError: 422,
    TextTooLongError: 422,
    TooManyNeighborsError: 422,
    InferenceError: 500,
    NotReadyError: 503,
}
STATUS_OF_CODE = {kind.code: status for kind, status in STATUS_OF.items()}
# Of errors that come from the routing itself.
CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed"}


def status_of(error: ServiceError) -> int:
    """An error that no request should meet is a defect of ours: 500."""
    return STATUS_OF_CODE.get(error.code, 500)
