"""The client for asyncio.

async with AsyncClient("http://127.0.0.1:8000") as client:
    (await client.classify("curl")).predictions[0].label
"""

import asyncio
from types import TracebackType
from typing import Any

import httpx

from understudy.client.attempts import Plan, Retries, check_open, steps
from understudy.client.calls import Result
from understudy.client.connecting import connections
from understudy.client.errors import InvalidRequestError
from understudy.client.interface import Interface


class AsyncClient(Interface):
    """One connection pool; safe to share between tasks.

    The methods are in `understudy.client.interface`.
    """

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
            InvalidRequestError: the URL, the key or another argument is invalid, or a proxy or
                certificate that the environment names cannot be used.
        """
        super().__init__(url, retries, timeout)
        self.http = connections(httpx.AsyncClient, self.url, key, timeout)

    async def carry_out(self, plan: Plan[Any, Result]) -> Result:
        """Sends a plan's requests until it returns its result.

        Raises:
            InvalidRequestError, RefusedError, UnavailableError, UnexpectedAnswerError: see
                `understudy.client.errors`.
        """
        check_open(self.http.is_closed, self.where)  # first: `ready` takes any later error for a no
        work = steps(plan, self.retries, self.where)
        try:
            step = next(work)
            while True:
                response = None
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    try:
                        check_open(self.http.is_closed, self.where)
                        response = await self.http.request(step.method, step.path, **step.arguments)
                    except (httpx.RequestError, httpx.InvalidURL, InvalidRequestError) as error:
                        step = work.throw(error)
                        continue
                step = work.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    async def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
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
