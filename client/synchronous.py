"""The client for plain code.

with Client("http://127.0.0.1:8000") as client:
    client.classify([Node(id="curl")]).predictions[0].label
"""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from client import calls
from client.calls import Request, Result, Retries
from client.errors import UnavailableError
from client.models import Change, Classification, Comparison, Node, Route


class Client:
    """One connection pool; safe to share between threads."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
    ) -> None:
        """Connects at the first request.

        Args:
            timeout: seconds of one attempt.
        """
        self.retries = retries or Retries()
        headers = calls.key_headers(key)
        self.http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def send(self, request: Request[Result]) -> Result:
        """Sends until there is an answer.

        Raises:
            RefusedError, UnavailableError, UnexpectedAnswerError: see `client.errors`.
        """
        problem: str = ""
        for attempt in range(self.retries.attempts):
            response = None
            try:
                response = self.http.request(request.method, request.path, **request.arguments)
                if response.status_code not in calls.RETRIED_STATUSES:
                    return request.answer(response)
                problem = f"status {response.status_code}"
            except httpx.TransportError as error:
                problem = type(error).__name__
            if attempt + 1 < self.retries.attempts:
                time.sleep(self.retries.pause(attempt, response))
        raise UnavailableError(f"{self.retries.attempts} attempts failed, the last with {problem}")

    def classify(
        self, nodes: Sequence[Node], route: Route = "student", top_k: int = 1
    ) -> Classification:
        """One prediction a node, in their order; a bad node's has its `error` set."""
        return self.send(calls.classify(nodes, route, top_k))

    def compare(self, nodes: Sequence[Node]) -> list[Comparison]:
        """The student's and the teacher's answer for each node."""
        return self.send(calls.compare(nodes))

    def mutate(self, mutations: Sequence[Mapping[str, Any]], key: str | None = None) -> Change:
        """Makes changes of the graph, all or none; see docs/http.md for their kinds."""
        return self.send(calls.mutate(mutations, key))

    def put_node(
        self,
        node_id: str,
        text: str | None = None,
        label: str | None = None,
        neighbors: Sequence[str] = (),
    ) -> Change:
        """Adds or changes a node."""
        return self.send(calls.put_node(node_id, text, label, neighbors))

    def delete_node(self, node_id: str) -> Change:
        """Removes a node and its edges."""
        return self.send(calls.delete_node(node_id))

    def info(self) -> dict[str, Any]:
        """What is being served."""
        return self.send(calls.info())

    def close(self) -> None:
        self.http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
