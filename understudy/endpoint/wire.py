"""The HTTP transport: sends only needed headers, and bounds the size of answers."""

from collections.abc import AsyncIterator

import httpx2

from understudy.endpoint.errors import EndpointError, MalformedError
from understudy.http_environment import UNUSABLE, unusable_environment

MAX_ANSWER_BYTES = 2**20
MAX_REFUSAL_BYTES = 2**14  # how much of a refusal is read
# Servers close idle connections after some seconds (uvicorn after 5); ours close earlier.
IDLE_SECONDS = 2.0
# The openai package adds others, about this machine and from variables for other servers.
SENT_HEADERS = frozenset({"host", "accept", "content-type", "content-length", "user-agent"})
REQUESTED = "understudy.requested"  # holds the original headers for the openai package


class Wire:
    """Filters a client's requests and bounds its responses.

    Args:
        answer_bytes: limit of an answer with status 200; more is an error.
        refusal_bytes: limit of any other answer; the rest is not read.
    """

    def __init__(
        self,
        key: str,
        answer_bytes: int = MAX_ANSWER_BYTES,
        refusal_bytes: int = MAX_REFUSAL_BYTES,
    ) -> None:
        self.answer_bytes, self.refusal_bytes = answer_bytes, refusal_bytes
        # A compressed answer could expand without limit.
        self.headers = {"accept-encoding": "identity"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"

    def client(self, timeout_seconds: float, connections: int) -> httpx2.AsyncClient:
        """A client that uses this wire; proxies of the environment are used.

        Raises:
            EndpointError: proxies or certificates that the environment names cannot be used.
        """
        try:
            return httpx2.AsyncClient(
                timeout=timeout_seconds,
                limits=httpx2.Limits(max_connections=connections, keepalive_expiry=IDLE_SECONDS),
                follow_redirects=False,  # the key and the texts are for this server only
                event_hooks={"request": [self.leaving], "response": [self.coming]},
            )
        except UNUSABLE as error:
            raise EndpointError(unusable_environment(error)) from error

    async def leaving(self, request: httpx2.Request) -> None:
        """Sends only the needed headers."""
        request.extensions = {**request.extensions, REQUESTED: request.headers}
        kept = {name: text for name, text in request.headers.items() if name in SENT_HEADERS}
        request.headers = httpx2.Headers(kept | self.headers)

    async def coming(self, response: httpx2.Response) -> None:
        """Bounds a body before it is read.

        Raises:
            MalformedError: an answer is compressed.
        """
        response.request.headers = response.request.extensions[REQUESTED]
        answered = response.status_code == 200
        encoding = response.headers.pop("content-encoding", "identity")
        if answered and encoding != "identity":
            raise MalformedError("the answer is compressed, although no compression was requested")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        limit = self.answer_bytes if answered else self.refusal_bytes
        response.stream = BoundedStream(response.stream, limit, strict=answered)


class BoundedStream(httpx2.AsyncByteStream):
    """A body, up to a limit.

    Args:
        limit: bytes.
        strict: exceeding it is an error; otherwise the rest is dropped.
    """

    def __init__(self, inner: httpx2.AsyncByteStream, limit: int, strict: bool) -> None:
        self.inner, self.limit, self.strict = inner, limit, strict

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises MalformedError: see `strict`."""
        limit, size = self.limit, 0
        async for part in self.inner:
            size += len(part)
            if size > limit:
                if self.strict:
                    raise MalformedError("the answer is incomplete")
                yield part[: len(part) - (size - limit)]
                return
            yield part

    async def aclose(self) -> None:
        await self.inner.aclose()
