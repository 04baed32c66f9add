"""The service's requests, and how their answers are read."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from understudy.client.addresses import header_value, node_path, query_path
from understudy.client.errors import (
    InvalidRequestError,
    RefusedError,
    UnexpectedAnswerError,
)
from understudy.client.models import (
    Change,
    Classification,
    Comparison,
    FoundNode,
    Node,
    NodePage,
    RequestLimits,
    Route,
    Rows,
    SimilarNode,
    StoredNode,
    ids_of,
    parse_change,
    parse_classification,
    parse_comparisons,
    parse_embeddings,
    parse_found,
    parse_limits,
    parse_neighbors,
    parse_node,
    parse_page,
    parse_similar,
)

Result = TypeVar("Result")
# What reading an answer that is not the service's may raise.
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Request(Generic[Result]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[Any], Result]
    body: Any = None
    headers: Mapping[str, str] | None = None
    decode: Callable[[httpx.Response], Any] = httpx.Response.json  # of a successful answer
    retried: bool = True  # whether it is sent again if there is no answer

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of `httpx` besides method and path.

        Raises:
            InvalidRequestError: the body cannot be encoded as JSON or UTF-8.
        """
        headers = dict(self.headers or {})
        if self.body is None:
            return {"headers": headers}
        try:
            content = json.dumps(self.body, ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidRequestError(
                "the request contains half a character (a lone surrogate)"
            ) from error
        except (TypeError, ValueError) as error:
            raise InvalidRequestError(f"the request cannot be written as JSON: {error}") from error
        return {"content": content, "headers": headers | {"content-type": "application/json"}}

    def answer(self, response: httpx.Response) -> Result:
        """Reads a final answer.

        Raises:
            RefusedError, UnexpectedAnswerError.
        """
        try:
            if response.status_code == 200:
                return self.read(self.decode(response))
            refused = refusal_of(response)
        except UNREADABLE as error:
            elsewhere = response.headers.get("location")
            on = f" (it redirects to {elsewhere})" if elsewhere else ""
            raise UnexpectedAnswerError(
                f"{response.url} answered {response.status_code}{on}, but not like an understudy "
                "service; check the address"
            ) from error
        raise refused


def refusal_of(response: httpx.Response) -> RefusedError:
    """Reads the service's error; raises one of `UNREADABLE` if it is something else."""
    error = response.json()["error"]
    return RefusedError(
        response.status_code,
        error["code"],
        error["message"],
        error["details"] if "param" not in error else field_of(error["param"]),
        response.headers.get("x-request-id", ""),
    )


def field_of(param: str | None) -> dict[str, str]:
    """Converts details of an error below /v1, which has OpenAI's form, with `param` only."""
    return {} if param is None else {"field": param}


WHOLE_GRAPH: Request[str] = Request("GET", "/graph", str, decode=lambda response: response.text)


def key_headers(key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {header_value('key', key)}"} if key else {}


def change_headers(key: str | None = None) -> dict[str, str]:
    """Makes headers with an idempotency key, generated if none is given, for safe retries.

    Raises:
        InvalidRequestError: the key is empty, or cannot be sent in a header.
    """
    if key == "":  # ambiguous: one key for every change, or none
        raise InvalidRequestError(
            "the idempotency key is empty; leave it out to have one generated"
        )
    return {"idempotency-key": header_value("idempotency key", key or uuid4().hex)}


def classify(
    nodes: Sequence[Node], route: Route, top_k: int, explain: bool = False
) -> Request[Classification]:
    body: dict[str, Any] = {"nodes": [node.to_json() for node in nodes], "route": route}
    body["top_k"] = top_k
    if explain:  # left out otherwise, because an older service would refuse it
        body["explain"] = True
    return Request("POST", "/classify", parse_classification, body)


def compare(nodes: Sequence[Node], top_k: int) -> Request[Rows[Comparison]]:
    body = {"nodes": [node.to_json() for node in nodes], "top_k": top_k}
    return Request("POST", "/compare", parse_comparisons, body)


def mutate(mutations: Sequence[Mapping[str, Any]], key: str | None) -> Request[Change]:
    """Makes the request of a batch of changes."""
    if isinstance(mutations, Mapping | str | bytes) or not isinstance(mutations, Iterable):
        kind = type(mutations).__name__
        raise InvalidRequestError(f"mutations is a {kind}; give a list, even for one change")
    body = {"mutations": [dict(m) if isinstance(m, Mapping) else m for m in mutations]}
    return Request("POST", "/mutations", parse_change, body, change_headers(key))


def put_node(
    node_id: str, text: str | None, label: str | None, neighbors: Sequence[str], key: str | None
) -> Request[Change]:
    body = {"text": text, "label": label, "neighbors": ids_of("neighbors", neighbors)}
    return Request("PUT", node_path(node_id), parse_change, body, change_headers(key))


def delete_node(node_id: str, key: str | None) -> Request[Change]:
    return Request("DELETE", node_path(node_id), parse_change, headers=change_headers(key))


def edge(method: str, source: str, target: str, key: str | None) -> Request[Change]:
    body = {"source": source, "target": target}
    return Request(method, "/edges", parse_change, body, change_headers(key))


def node(node_id: str) -> Request[StoredNode]:
    return Request("GET", node_path(node_id), parse_node)


def nodes(after: str, limit: int, label: str | None, split: str | None) -> Request[NodePage]:
    query: dict[str, str | int | None] = {"after": after, "limit": limit}
    query |= {"label": label, "split": split}
    return Request("GET", query_path("/nodes", query), parse_page)


def search(text: str, limit: int) -> Request[tuple[FoundNode, ...]]:
    return Request("GET", query_path("/search", {"q": text, "limit": limit}), parse_found)


def neighbors(node_id: str) -> Request[tuple[str, ...]]:
    return Request("GET", f"{node_path(node_id)}/neighbors", parse_neighbors)


def similar(node_id: str, count: int, label: str | None) -> Request[tuple[SimilarNode, ...]]:
    try:
        query = urlencode({"k": count} | ({} if label is None else {"label": label}))
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            "the label contains half a character (a lone surrogate)"
        ) from error
    return Request("GET", f"{node_path(node_id)}/similar?{query}", parse_similar)


def embeddings(nodes: Sequence[Node]) -> Request[Rows[tuple[float, ...]]]:
    """Makes the request with nodes as objects, which cannot be mistaken for texts or tokens."""
    body = {"input": [node.to_json() for node in nodes]}
    return Request("POST", "/v1/embeddings", parse_embeddings, body)


def reload() -> Request[dict[str, Any]]:
    return Request("POST", "/admin/reload", dict)


def info() -> Request[dict[str, Any]]:
    return Request("GET", "/info", dict)


def limits() -> Request[RequestLimits]:
    return Request("GET", "/info", parse_limits)


def health(state: str) -> Request[bool]:
    """Asks whether the service is live or ready; no retries, since no answer means no."""
    return Request("GET", f"/health/{state}", bool, retried=False)


def metrics() -> Request[str]:
    return Request("GET", "/metrics", str, decode=lambda response: response.text)


def document() -> Request[dict[str, Any]]:
    return Request("GET", "/openapi.json", dict)
