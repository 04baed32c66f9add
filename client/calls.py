"""What both clients share: the requests they send, how answers are read, when to ask again."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from client.errors import RefusedError, UnexpectedAnswerError
from client.models import (
    Change,
    Classification,
    Comparison,
    Node,
    Route,
    parse_change,
    parse_classification,
    parse_comparisons,
)

RETRIED_STATUSES = (429, 503)
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
        wanted = max(float(asked), doubled) if asked.isdigit() else doubled
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
        return {"json": self.body, "headers": dict(self.headers or {})}

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


def key_headers(key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"} if key else {}


def classify(nodes: Sequence[Node], route: Route, top_k: int) -> Request[Classification]:
    body = {"nodes": [node.to_json() for node in nodes], "route": route, "top_k": top_k}
    return Request("POST", "/classify", parse_classification, body)


def compare(nodes: Sequence[Node]) -> Request[list[Comparison]]:
    body = {"nodes": [node.to_json() for node in nodes]}
    return Request("POST", "/compare", parse_comparisons, body)


def mutate(mutations: Sequence[Mapping[str, Any]], key: str | None) -> Request[Change]:
    """A batch of changes; its key, made up if need be, lets it be sent again without harm."""
    headers = {"idempotency-key": key or uuid4().hex}
    body = {"mutations": [dict(mutation) for mutation in mutations]}
    return Request("POST", "/mutations", parse_change, body, headers)


def put_node(
    node_id: str, text: str | None, label: str | None, neighbors: Sequence[str]
) -> Request[Change]:
    body = {"text": text, "label": label, "neighbors": list(neighbors)}
    headers = {"idempotency-key": uuid4().hex}
    return Request("PUT", f"/nodes/{quote(node_id, safe='')}", parse_change, body, headers)


def delete_node(node_id: str) -> Request[Change]:
    headers = {"idempotency-key": uuid4().hex}
    path = f"/nodes/{quote(node_id, safe='')}"
    return Request("DELETE", path, parse_change, headers=headers)


def info() -> Request[dict[str, Any]]:
    return Request("GET", "/info", dict)
