"""The client for asyncio.

async with AsyncClient("http://127.0.0.1:8000") as client:
    (await client.classify([Node(id="curl")])).predictions[0].label
"""

import asyncio
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


class AsyncClient:
    """One connection pool; see `understudy.client.synchronous.Client` for what the methods do."""

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
        self.http = httpx.AsyncClient(base_url=service_url(url), headers=headers, timeout=timeout)

    async def send(self, request: Request[Result]) -> Result:
        """Sends until there is an answer.

        Raises:
            InvalidRequestError, RefusedError, UnavailableError, UnexpectedAnswerError: see
                `understudy.client.errors`.
        """
        problem: str = ""
        for attempt in range(self.retries.attempts):
            response = None
            try:
                response = await self.http.request(
                    request.method, request.path, **request.arguments
                )
                if response.status_code not in calls.RETRIED_STATUSES:
                    return request.answer(response)
                problem = f"status {response.status_code}"
            except (httpx.RequestError, httpx.InvalidURL) as error:
                problem = calls.worth_repeating(error)
            if attempt + 1 < self.retries.attempts:
                await asyncio.sleep(self.retries.pause(attempt, response))
        raise calls.unavailable(self.retries.attempts, problem)

    async def carry_out(self, plan: Plan[Part, Result]) -> Result:
        """Sends a plan's requests, one after the other."""
        try:
            request = next(plan)
            while True:
                try:
                    answer = await self.send(request)
                except RefusedError as error:
                    request = plan.throw(error)
                else:
                    request = plan.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def classify(
        self, nodes: Sequence[Node | str], route: Route = "student", top_k: int = 1
    ) -> Classification:
        return await self.carry_out(parts.classify(nodes, route, top_k))

    async def compare(self, nodes: Sequence[Node | str]) -> list[Comparison]:
        return await self.carry_out(parts.compare(nodes))

    async def mutate(
        self, mutations: Sequence[Mapping[str, Any]], key: str | None = None
    ) -> Change:
        return await self.send(calls.mutate(mutations, key))

    async def put_node(
        self,
        node_id: str,
        text: str | None = None,
        label: str | None = None,
        neighbors: Sequence[str] = (),
    ) -> Change:
        return await self.send(calls.put_node(node_id, text, label, neighbors))

    async def delete_node(self, node_id: str) -> Change:
        return await self.send(calls.delete_node(node_id))

    async def node(self, node_id: str) -> StoredNode:
        return await self.send(calls.node(node_id))

    async def neighbors(self, node_id: str) -> tuple[str, ...]:
        return await self.send(calls.neighbors(node_id))

    async def reload(self) -> dict[str, Any]:
        return await self.send(calls.reload())

    async def ready(self) -> bool:
        try:
            return (await self.http.get(calls.READY_PATH)).status_code == 200
        except httpx.TransportError:
            return False

    async def info(self) -> dict[str, Any]:
        return await self.send(calls.info())

    async def close(self) -> None:
        await self.http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
