"""Answers in JSON, and errors as the one error body."""

from collections.abc import Iterable, Mapping
from math import ceil

from starlette.responses import Response
from starlette.types import Send

from service.errors import NoNodeError, ServiceError, UnauthorizedError
from service.messages import ErrorBody, ErrorDetail, encode, error_detail
from service.statuses import INTERNAL_ERROR, STATUS_OF_CODE, status_of

JSON = "application/json"


async def send_json(
    send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Sends a whole answer straight over ASGI."""
    start_headers = [
        (b"content-type", JSON.encode()),
        (b"content-length", b"%d" % len(body)),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": start_headers})
    await send({"type": "http.response.body", "body": body})


def error_response(
    status: int, detail: ErrorDetail, headers: Mapping[str, str] | None = None
) -> Response:
    """The one error body."""
    return Response(encode(ErrorBody(detail)), status, headers, media_type=JSON)


def failure_response(error: Exception) -> Response:
    """Any exception as an answer; one that is not ours says nothing, the log has it."""
    if not isinstance(error, ServiceError):
        message = "something went wrong here; the log has it under this request's id"
        return error_response(500, ErrorDetail(INTERNAL_ERROR, message))
    headers = {}
    if error.retry_after is not None:
        headers["retry-after"] = str(ceil(error.retry_after))
    if isinstance(error, UnauthorizedError):
        headers["www-authenticate"] = "Bearer"
    detail, status = error_detail(error), status_of(error)
    if isinstance(error, NoNodeError):
        detail = ErrorDetail(error.node_code, str(error), error.details)
        status = STATUS_OF_CODE.get(error.node_code, 500)
    return error_response(status, detail, headers)
