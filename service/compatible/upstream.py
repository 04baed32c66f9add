"""The upstream server, which gets the questions that the student cannot answer."""

import asyncio
import logging
from dataclasses import dataclass, field
from time import perf_counter

import httpx2

from service.errors import OverloadedError, UpstreamError
from service.http.exchange import JSON
from service.telemetry.logs import RareLog
from service.telemetry.metrics import Metrics
from understudy.endpoint.errors import EndpointError
from understudy.endpoint.wire import Wire

ANSWER_BYTES = 32 * 2**20  # three times an answer to 400 questions of 255 options
REFUSAL_BYTES = 2**20
# A refusal of our own key must not reach the caller, whose key was accepted.
OF_OUR_KEY = frozenset({401, 403, 407})
LEAST_SECRET = 8  # characters; a shorter key is not masked, because it may occur in any word
MASK = b"***"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    url: str  # without /decisions, /systemone or /chat/completions
    key: str = field(default="", repr=False)  # sent as a bearer token
    model: str = ""  # replaces the caller's model; empty: the caller's
    seconds: float = 30.0  # of one request, including its whole answer
    connections: int = 64
    requests: int = 250  # waiting; each holds a connection of ours, which look-ups need, too


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream's answer as received."""

    status: int
    content: bytes
    kind: bytes  # the media type
    retry_after: bytes  # the header; empty if there is none


class Upstream:
    """Forwards bodies with our own key, and returns the answers."""

    def __init__(self, options: UpstreamOptions, metrics: Metrics) -> None:
        self.options = options
        self.metrics = metrics
        self.url = options.url.rstrip("/")
        self.secret = options.key.encode() if len(options.key) >= LEAST_SECRET else b""
        self.log = RareLog(logger)
        self.waiting = 0
        wire = Wire(options.key, ANSWER_BYTES, REFUSAL_BYTES)
        self.http = wire.client(options.seconds, options.connections)

    async def ask(self, path: str, body: bytes) -> Reply:
        """Sends a body, without the caller's headers.

        Args:
            path: below the server's URL.

        Raises:
            OverloadedError: too many requests wait.
            UpstreamError: there is no answer, or one that must not reach the caller.
        """
        if self.waiting >= self.options.requests:
            raise OverloadedError("too many requests wait for the upstream", 1.0)
        self.waiting += 1
        try:
            return await self.counted(path, body)
        finally:
            self.waiting -= 1

    async def counted(self, path: str, body: bytes) -> Reply:
        """Sends a body, and updates the metrics; see `ask`."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self.options.seconds):
                reply = await self.post_body(path, body)
        except (EndpointError, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            raise self.failed(failure(error)) from error
        except UpstreamError as error:
            raise self.failed(error) from None
        outcome = "answered" if reply.status == 200 else "refused"
        self.metrics.upstream_answers.add(outcome)
        self.metrics.upstream_seconds.observe(perf_counter() - started)
        return reply

    def failed(self, error: UpstreamError) -> UpstreamError:
        """Counts and logs an error."""
        self.metrics.upstream_answers.add("failed")
        self.log.warning(str(error), "%s", error)
        return error

    async def post_body(self, path: str, body: bytes) -> Reply:
        headers = {"content-type": JSON}
        answer = await self.http.post(f"{self.url}{path}", content=body, headers=headers)
        if answer.status_code in OF_OUR_KEY:
            raise UpstreamError(f"refuses this service's key with status {answer.status_code}")
        if answer.is_redirect:
            raise UpstreamError("redirects to another address, which is not followed")
        content = answer.content
        if self.secret:
            content = content.replace(self.secret, MASK)
        kind, retry = (answer.headers.get(name, "") for name in ("content-type", "retry-after"))
        return Reply(answer.status_code, content, (kind or JSON).encode(), retry.encode())

    async def close(self) -> None:
        await self.http.aclose()


def failure(error: Exception) -> UpstreamError:
    """Converts an error to one of this room."""
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return UpstreamError("did not answer in time")
    if isinstance(error, EndpointError):
        return UpstreamError(f"sent an invalid answer: {error}")
    return UpstreamError(f"cannot be reached ({type(error).__name__})")
