"""What both clients share: the requests they send, how answers are read, when to ask again."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

import httpx

from understudy.client.addresses import header_value, node_path
from understudy.client.errors import (
    ClientError,
    InvalidRequestError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from understudy.client.models import (
    Change,
    Classification,
    Comparison,
    Node,
    Route,
    StoredNode,
    ids_of,
    parse_change,
    parse_classification,
    parse_comparisons,
    parse_neighbors,
    parse_node,
)

RETRIED_STATUSES = (429, 503)
READY_PATH = "/health/ready"
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retries:
    attempts: int = 4  # of one request, the first included
    first_pause: float = 0.2  # seconds; doubles from one to the next
    longest_pause: float = 10.0  # seconds, also where the service asks for more

    def pause(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds to wait after attempt number `attempt`, counted from 0."""
        asked = response.headers.get("retry-after", "") if response is not None else ""
        doubled: float = self.first_pause * 2**attempt * random.uniform(0.5, 1.5)
        seconds = asked.isascii() and asked.isdigit()  # proxies may send a date instead
        wanted = max(float(asked), doubled) if seconds else doubled
        return min(wanted, self.longest_pause)


@dataclass(frozen=True, slots=True)
class Request(Generic[Result]):
    """One request, and what its answer means."""

    method: str
    path: str
    read: Callable[[Any], Result]
    body: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """What `httpx` is to send beside method and path.

        Raises:
            InvalidRequestError: the body holds what JSON or UTF-8 cannot say.
        """
        headers = dict(self.headers or {})
        if self.body is None:
            return {"headers": headers}
        try:
            content = json.dumps(self.body, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError("the request holds half a character") from error
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"the request is no JSON: {error}") from error
        return {"content": content, "headers": headers | {"content-type": "application/json"}}

    def answer(self, response: httpx.Response) -> Result:
        """Reads a final answer.

        Raises:
            RefusedError, UnexpectedAnswerError.
        """
        try:
            value = response.json()
            if response.status_code == 200:
                return self.read(value)
            error = value["error"]
            refused = RefusedError(
                response.status_code,
                error["code"],
                error["message"],
                error["details"],
                response.headers.get("x-request-id", ""),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnexpectedAnswerError(
                f"{response.url} answered {response.status_code} and not like the service"
            ) from error
        raise refused


def worth_repeating(error: httpx.RequestError | httpx.InvalidURL) -> str:
    """In words, why a request that got no answer is to be sent again.

    Raises:
        InvalidRequestError: it could not even be sent.
        UnexpectedAnswerError: there was an answer, and it cannot be read.
    """
    if isinstance(error, httpx.InvalidURL | httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        raise InvalidRequestError(f"the request cannot be sent: {error}") from error
    if not isinstance(error, httpx.TransportError):
        raise UnexpectedAnswerError(f"the answer cannot be read: {error}") from error
    return f"{type(error).__name__}: {error}".rstrip(": ")


def unavailable(attempts: int, problem: str) -> ClientError:
    return UnavailableError(f"{attempts} attempts failed, the last with {problem}")


def key_headers(key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {header_value('key', key)}"} if key else {}


def change_headers(key: str | None = None) -> dict[str, str]:
    """A key, made up if need be, lets a change be sent again without harm."""
    return {"idempotency-key": header_value("idempotency key", key or uuid4().hex)}


def classify(nodes: Sequence[Node], route: Route, top_k: int) -> Request[Classification]:
    body = {"nodes": [node.to_json() for node in nodes], "route": route, "top_k": top_k}
    return Request("POST", "/classify", parse_classification, body)


def compare(nodes: Sequence[Node]) -> Request[list[Comparison]]:
    body = {"nodes": [node.to_json() for node in nodes]}
    return Request("POST", "/compare", parse_comparisons, body)


def mutate(mutations: Sequence[Mapping[str, Any]], key: str | None) -> Request[Change]:
    """A batch of changes."""
    if isinstance(mutations, Mapping | str | bytes):
        raise InvalidRequestError("mutations is one change; put it into a list")
    body = {"mutations": [dict(m) if isinstance(m, Mapping) else m for m in mutations]}
    return Request("POST", "/mutations", parse_change, body, change_headers(key))


def put_node(
    node_id: str, text: str | None, label: str | None, neighbors: Sequence[str]
) -> Request[Change]:
    body = {"text": text, "label": label, "neighbors": ids_of("neighbors", neighbors)}
    return Request("PUT", node_path(node_id), parse_change, body, change_headers())


def delete_node(node_id: str) -> Request[Change]:
    return Request("DELETE", node_path(node_id), parse_change, headers=change_headers())


def node(node_id: str) -> Request[StoredNode]:
    return Request("GET", node_path(node_id), parse_node)


def neighbors(node_id: str) -> Request[tuple[str, ...]]:
    return Request("GET", f"{node_path(node_id)}/neighbors", parse_neighbors)


def reload() -> Request[dict[str, Any]]:
    return Request("POST", "/admin/reload", dict)


def info() -> Request[dict[str, Any]]:
    return Request("GET", "/info", dict)
