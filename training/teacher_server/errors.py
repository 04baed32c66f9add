"""Refusals of this room, in the form that OpenAI's clients read.

RequestError             the request is refused, with its status
├── MalformedError       the body is not what the format wants
└── BusyError            too many questions wait
AnswerError              the teacher gave no usable answer
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect


class RequestError(Exception):
    """The request is refused.

    Attributes:
        param: the field that is to blame, if any.
    """

    status = 400
    kind = "invalid_request_error"
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, param: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.status = status or self.status


class MalformedError(RequestError):
    """The body does not match the format."""


class BusyError(RequestError):
    """Too many questions wait."""

    status = 429
    kind = "rate_limit_error"
    headers: Mapping[str, str] = {"retry-after": "1"}


class AnswerError(Exception):
    """The teacher gave no usable answer."""


def error_body(message: str, kind: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": None}}


def add_error_handlers(app: FastAPI) -> None:
    """Converts every refusal of the application to that form."""

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        body = error_body(str(error), error.kind, error.param)
        return JSONResponse(body, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        body = error_body(error.detail, RequestError.kind)
        return JSONResponse(body, error.status_code, error.headers)

    @app.exception_handler(AnswerError)
    async def failed(_: Request, error: AnswerError) -> JSONResponse:
        return JSONResponse(error_body(str(error), "server_error"), 500)

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, __: ClientDisconnect) -> JSONResponse:
        return JSONResponse(error_body("the client disconnected", RequestError.kind), 400)
