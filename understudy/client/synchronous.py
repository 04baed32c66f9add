"""The client for plain code.

with Client("http://127.0.0.1:8000") as client:
    client.classify([Node(id="curl")]).predictions[0].label
"""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from understudy.client import calls, parts
from understudy.client.addresses import service_url
from understudy.client.calls import Request, Result, Retries
from understudy.client.errors import RefusedError
from understudy.client.models import Change, Classification, Comparison, Node, Route, StoredNode
from understudy.client.parts import Part, Plan


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
            url: of the service, for example http://127.0.0.1:8000; without a scheme it is http.
            timeout: seconds of one attempt.

        Raises:
            InvalidRequestError: the URL or the key is none.
        """
        self.retries = retries or Retries()
        headers = calls.key_headers(key)
        self.http = httpx.Client(base_url=service_url(url), headers=headers, timeout=timeout)

    def send(self, request: Request[Result]) -> Result:
        """Sends until there is an answer.

        Raises:
            InvalidRequestError, RefusedError, UnavailableError, UnexpectedAnswerError: see
                `understudy.client.errors`.
        """
        problem: str = ""
        for attempt in range(self.retries.attempts):
            response = None
            try:
                response = self.http.request(request.method, request.path, **request.arguments)
                if response.status_code not in calls.RETRIED_STATUSES:
                    return request.answer(response)
                problem = f"status {response.status_code}"
            except (httpx.RequestError, httpx.InvalidURL) as error:
                problem = calls.worth_repeating(error)
            if attempt + 1 < self.retries.attempts:
                time.sleep(self.retries.pause(attempt, response))
        raise calls.unavailable(self.retries.attempts, problem)

    def carry_out(self, plan: Plan[Part, Result]) -> Result:
        """Sends a plan's requests, one after the other."""
        try:
            request = next(plan)
            while True:
                try:
                    answer = self.send(request)
                except RefusedError as error:
                    request = plan.throw(error)
                else:
                    request = plan.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result

    def classify(
        self, nodes: Sequence[Node | str], route: Route = "student", top_k: int = 1
    ) -> Classification:
        """One prediction a node, in their order; a bad node's has its `error` set.

        Args:
            nodes: any number; an id alone is a stored node. More than a request may hold go in
                several, one after the other.
        """
        return self.carry_out(parts.classify(nodes, route, top_k))

    def compare(self, nodes: Sequence[Node | str]) -> list[Comparison]:
        """The student's and the teacher's answer for each node."""
        return self.carry_out(parts.compare(nodes))

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

    def node(self, node_id: str) -> StoredNode:
        """A node as it is stored."""
        return self.send(calls.node(node_id))

    def neighbors(self, node_id: str) -> tuple[str, ...]:
        """The ids of the nodes that a node is linked to."""
        return self.send(calls.neighbors(node_id))

    def reload(self) -> dict[str, Any]:
        """Has the bundle in its folder answer from now on; says which that is."""
        return self.send(calls.reload())

    def ready(self) -> bool:
        """Whether the service is there and a real inference passed lately; asks once."""
        try:
            return self.http.get(calls.READY_PATH).status_code == 200
        except httpx.TransportError:
            return False

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
