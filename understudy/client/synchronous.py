"""The client for plain code.

with Client("http://127.0.0.1:8000") as client:
    client.classify("curl").predictions[0].label
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import httpx

from understudy.client import calls
from understudy.client.attempts import Plan, Retries, check_open, steps
from understudy.client.calls import Result
from understudy.client.connecting import connections
from understudy.client.errors import InvalidRequestError, UnavailableError
from understudy.client.interface import Interface


def lines_of(pieces: Iterable[bytes]) -> Iterator[str]:
    """Splits at line feeds only: other line ends of Python, such as U+2028, may occur in JSON."""
    rest: list[bytes] = []
    for piece in pieces:
        *whole, last = piece.split(b"\n")
        for line in whole:
            yield b"".join([*rest, line]).decode()
            rest = []
        rest.append(last)
    if end := b"".join(rest):
        yield end.decode()


class Client(Interface):
    """One connection pool; safe to share between threads.

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
        self.http = connections(httpx.Client, self.url, key, timeout)

    def carry_out(self, plan: Plan[Any, Result]) -> Result:
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
                    time.sleep(step)
                else:
                    try:
                        check_open(self.http.is_closed, self.where)
                        response = self.http.request(step.method, step.path, **step.arguments)
                    except (httpx.RequestError, httpx.InvalidURL, InvalidRequestError) as error:
                        step = work.throw(error)
                        continue
                step = work.send(response)
        except StopIteration as end:
            result: Result = end.value
            return result

    @contextmanager
    def graph_lines(self) -> Iterator[Iterator[str]]:
        """Streams the lines of the whole graph; see docs/reference/http.md.

        Raises:
            InvalidRequestError: the client is closed.
            RefusedError, UnexpectedAnswerError: the service refuses it, or is not the service.
            UnavailableError: the service cannot be reached, or stops in the middle.
        """
        check_open(self.http.is_closed, self.where)
        try:
            with self.http.stream("GET", calls.WHOLE_GRAPH.path) as response:
                if response.status_code != 200:
                    response.read()
                    calls.WHOLE_GRAPH.answer(response)
                yield lines_of(response.iter_bytes())
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self.where} cannot be read: {error}") from error

    def close(self) -> None:
        """Closes the connections; the client cannot be used afterwards."""
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
