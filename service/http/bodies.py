"""The cost of bodies: decompression, and the thread for work that would block the event loop."""

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

LARGE_BYTES = 65_536  # of a body; smaller ones cost less than handing them over
LARGE_ITEMS = 4_096  # labels or neighbours that are told; fewer take a few milliseconds
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# Encoding → the window argument of zlib, which also says what is around the deflated data.
WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
COMPRESSED_FROM = 1_024  # bytes; what is smaller fits a packet anyway
LEVEL = 1  # of zlib: labels and scores repeat so much that more work saves little


class SerialExecutor:
    """Runs one function at a time on a thread: two would only keep the event loop waiting longer.

    Args:
        most: that wait, before further requests are refused.
    """

    def __init__(self, most: int = 250) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="executor")
        self.most = most
        self.waiting = 0  # or running

    def check(self) -> None:
        """Refuses a request that begins here, where many wait: each holds a connection.

        Raises:
            OverloadedError: too many do.
        """
        if self.waiting >= self.most:
            raise OverloadedError("too many requests are waiting", 1.0)

    async def run(
        self,
        function: Callable[Arguments, Result],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Result:
        """What `function` returns or raises."""
        assert not options
        loop = asyncio.get_running_loop()
        self.waiting += 1
        try:
            return await loop.run_in_executor(self.thread, function, *arguments)
        finally:
            self.waiting -= 1

    def close(self) -> None:
        """Waits for what runs."""
        self.thread.shutdown()


class Inflater:
    """Inflates one body part by part.

    Args:
        encoding: the header `content-encoding`.
        limit: bytes of the inflated body.

    Raises:
        EncodingError: it is not known, or is more than one.
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
        """The next part.

        Raises:
            BodyTooLargeError: more bytes than allowed come out of it.
            MalformedEncodingError: it is not what it says, is cut off, or goes on after its end.
        """
        try:
            inflated = self.stream.decompress(data, self.left + 1)
        except zlib.error as error:
            raise MalformedEncodingError(f"the body is not {self.encoding}") from error
        self.left -= len(inflated)
        if self.left < 0:
            raise BodyTooLargeError(self.limit)
        if self.stream.unused_data:
            raise MalformedEncodingError(f"more follows after the end of the {self.encoding} body")
        if last and not self.stream.eof:
            raise MalformedEncodingError(f"the {self.encoding} body is cut off")
        return inflated


def wanted_encoding(accepted: str) -> str | None:
    """gzip or deflate, if a client's `accept-encoding` allows one of them; rather gzip."""
    readable: dict[str, bool] = {}
    for entry in accepted.lower().split(","):
        name, _, weight = (part.strip() for part in entry.partition(";"))
        readable[name] = not is_zero(weight)
    others = readable.get("*", False)
    return next((name for name in ("gzip", "deflate") if readable.get(name, others)), None)


def is_zero(weight: str) -> bool:
    """Whether "q=0.000" or the like was said."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0").rstrip(".") in ("", "0")


def compress(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(content, LEVEL, mtime=0)
    return zlib.compress(content, LEVEL)
