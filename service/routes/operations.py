"""One entry an operation: from it come the route, the needed role and the OpenAPI document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from service.http.access import Role
from service.http.io import Exchange
from service.messages import ErrorBody

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an operation; `body` is of the operation's request type."""

    body: Any
    parameters: Mapping[str, str]  # from the path
    headers: Headers
    query: bytes
    exchange: Exchange

    def header(self, name: bytes) -> str | None:
        return header_of(self.headers, name)


def header_of(headers: Headers, name: bytes) -> str | None:
    for header, value in headers:
        if header == name:
            return value.decode("latin-1")
    return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers.

    Attributes:
        content: the body as bytes, where it is no JSON.
    """

    body: Struct
    headers: tuple[tuple[bytes, bytes], ...] = ()
    status: int = 200
    content: bytes | None = None
    content_type: bytes = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class Examples:
    """A request that really can be sent, and its answer; either may be missing."""

    request: Struct | None = None
    response: Struct | None = None
    parameters: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Operation:
    """What can be asked of the service."""

    name: str
    method: str
    path: str
    role: Role
    tag: str
    summary: str
    handle: Callable[[Call], Awaitable[Answer]]
    response: type[Struct]
    request: type[Struct] | None = None
    description: str = ""
    statuses: tuple[int, ...] = ()  # of errors, besides those that any request can meet
    success: int = 200
    examples: Callable[[], Examples] = Examples
    headers: Mapping[str, str] | None = None  # of the request: name → description
    errors: type[Struct] = ErrorBody
    read: Callable[[bytes, Headers], Any] | None = None  # of a body that is not JSON alone
