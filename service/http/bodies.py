"""Compression of bodies, and the thread for work that would block the event loop."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from service.errors import (
    BodyTooLargeError,
    EncodingError,
    MalformedEncodingError,
    OverloadedError,
)

LARGE_BYTES = 65_536  # of a body; smaller ones cost less than the hand-over to the thread
LARGE_ITEMS = 4_096  # labels or neighbours in an answer; fewer take a few milliseconds
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# Encoding → the window argument of zlib, which also selects the container format.
WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
COMPRESSED_FROM = 1_024  # bytes; anything smaller fits a packet
LEVEL = 1  # of zlib: labels and scores repeat so much that higher levels save little


class SerialExecutor:
    """Runs one function at a time on a thread; two would only delay the event loop more.

    Args:
        most: number of waiting calls from which requests are refused.
    """

    def __init__(self, most: int = 250) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="executor")
        self.most = most
        self.waiting = 0  # including the running one

    def check(self) -> None:
        """Refuses a request if many wait, since each holds a connection.

        Raises:
            OverloadedError: too many wait.
        """
        if self.waiting >= self.most:
            raise OverloadedError("too many requests are waiting", 1.0)

    async def run(
        self,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """Runs `function` on the thread; returns its result or raises its error."""
        assert not options
        loop = asyncio.get_running_loop()
        self.waiting += 1
        try:
            return await loop.run_in_executor(self.thread, function, *arguments)
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Waits for the running function."""
        self.thread.shutdown()


class Inflater:
    """Decompresses one body part by part.

    Args:
        encoding: the header `content-encoding`.
        limit: maximum bytes of the decompressed body.

    Raises:
        EncodingError: the encoding is unknown, or there are several.
    """

    def __init__(self, encoding: bytes, limit: int) -> None:
        window = WINDOWS.get(encoding.strip().lower())
        if window is None:
            known = ", ".join(name.decode() for name in WINDOWS)
            raise EncodingError(f"content-encoding: expected none, or one of {known}")
        self.encoding = encoding.decode("latin-1")
        self.stream = zlib.decompressobj(window)
        self.left = limit
        self.limit = limit

    def inflate(self, data: bytes, last: bool) -> bytes:
        """Decompresses the next part.

        Raises:
            BodyTooLargeError: the decompressed body has more bytes than allowed.
            MalformedEncodingError: the data are invalid, cut off, or continue after their end.
        """
        try:
            inflated = self.stream.decompress(data, self.left + 1)
        except zlib.error as error:
            raise MalformedEncodingError(f"the body is not {self.encoding}") from error
        self.left -= len(inflated)
        if self.left < 0:
            raise BodyTooLargeError(self.limit)
        if self.stream.unused_data:
            raise MalformedEncodingError(f"there is data after the end of the {self.encoding} body")
        if last and not self.stream.eof:
            raise MalformedEncodingError(f"the {self.encoding} body is cut off")
        return inflated


def wanted_encoding(accepted: str) -> str | None:
    """Chooses gzip (preferred) or deflate, if a client's `accept-encoding` allows one."""
    readable: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        name, _, weight = (part.strip() for part in entry.partition(";"))
        readable[name] = not is_zero(weight)
    others = readable.get("*", False)
    return next((name for name in ("gzip", "deflate") if readable.get(name, others)), None)


def is_zero(weight: str) -> bool:
    """Whether a weight is "q=0", with any number of zeros."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0").rstrip(".") in ("", "0")


def compress(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(content, LEVEL, mtime=0)
    return zlib.compress(content, LEVEL)
