"""The client for asyncio.

async with AsyncClient("http://127.0.0.1:8000") as client:
    (await client.classify([Node(id="curl")])).predictions[0].label
"""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import httpx

from client import calls
from client.calls import Request, Result, Retries
from client.errors import UnavailableError
from client.models import Change, Classification, Comparison, Node, Route


class AsyncClient:
    """One connection pool; see `client.synchronous.Client` for what the methods do."""

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
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout)

    async def send(self, request: Request[Result]) -> Result:
        """Sends until there is an answer.

        Raises:
            RefusedError, UnavailableError, UnexpectedAnswerError: see `client.errors`.
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
            except httpx.TransportError as error:
                problem = type(error).__name__
            if attempt + 1 < self.retries.attempts:
                await asyncio.sleep(self.retries.pause(attempt, response))
        raise UnavailableError(f"{self.retries.attempts} attempts failed, the last with {problem}")

    async def classify(
        self, nodes: Sequence[Node], route: Route = "student", top_k: int = 1
    ) -> Classification:
        return await self.send(calls.classify(nodes, route, top_k))

    async def compare(self, nodes: Sequence[Node]) -> list[Comparison]:
        return await self.send(calls.compare(nodes))

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
