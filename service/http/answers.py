"""Answers in JSON, and errors as the one error body."""

from collections.abc import Iterable, Mapping
from math import ceil

from msgspec import Struct
from starlette.responses import Response
from starlette.types import Send

from service.errors import NoNodeError, UnauthorizedError
from service.http.statuses import INTERNAL_ERROR, STATUS_OF_CODE, status_of
from service.messages import ErrorBody, ErrorDetail, InferenceErrorBody, encode, error_detail
from understudy.engine.errors import EngineError

JSON = "application/json"
JSON_BYTES = JSON.encode()
INFERENCE_PATH = "/v2"


async def send_answer(
    send: Send,
    status: int,
    content: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
    kind: bytes = JSON_BYTES,
) -> None:
    """Sends a whole answer straight over ASGI."""
    own = [(b"content-type", kind), (b"content-length", b"%d" % len(content)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": content})


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
