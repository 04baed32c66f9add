"""What goes over the wire: our headers alone, and answers of bounded size that come as they are."""

from collections.abc import AsyncIterator

import httpx2

from understudy.endpoint.errors import MalformedError

MAX_ANSWER_BYTES = 2**20
MAX_REFUSAL_BYTES = 2**14  # of a refusal, what is read
# A server closes an idle connection after some seconds (uvicorn after 5); ours goes before.
IDLE_SECONDS = 2.0
# The openai package adds others, of this machine and from variables that mean another server.
SENT_HEADERS = frozenset({"host", "accept", "content-type", "content-length", "user-agent"})


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Sends what is needed and no more; an answer without end is an error, a refusal is cut."""

    def __init__(self, key: str, connections: int) -> None:
        limits = httpx2.Limits(max_connections=connections, keepalive_expiry=IDLE_SECONDS)
        self.inner = httpx2.AsyncHTTPTransport(limits=limits)
        # Compressed, a small answer could become one without end.
        self.headers = {"accept-encoding": "identity"}
        if key:
            self.headers["authorization"] = f"Bearer {key}"

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises MalformedError where an answer is compressed."""
        kept = {name: text for name, text in request.headers.items() if name in SENT_HEADERS}
        sent = httpx2.Request(
            request.method,
            request.url,
            headers=kept | self.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        response = await self.inner.handle_async_request(sent)
        answered = response.status_code == 200
        encoding = response.headers.pop("content-encoding", "identity")
        if answered and encoding != "identity":
            await response.aclose()
            raise MalformedError("the answer is compressed, which it was not asked to")
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = BoundedStream(response.stream, strict=answered)
        return response

    async def aclose(self) -> None:
        await self.inner.aclose()


class BoundedStream(httpx2.AsyncByteStream):
    """A body, up to a bound."""

    def __init__(self, inner: httpx2.AsyncByteStream, strict: bool) -> None:
        """Wraps.

        Args:
            strict: more than the bound is an error, else the rest is left.
        """
        self.inner, self.strict = inner, strict

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises MalformedError: see `strict`."""
        limit, size = MAX_ANSWER_BYTES if self.strict else MAX_REFUSAL_BYTES, 0
        async for part in self.inner:
            size += len(part)
            if size > limit:
                if self.strict:
                    raise MalformedError("the answer has no end")
                yield part[: len(part) - (size - limit)]
                return
            yield part

    async def aclose(self) -> None:
        await self.inner.aclose()
