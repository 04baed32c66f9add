"""Compressed bodies, never inflated further than a body may be."""

import zlib

from service.errors import BodyTooLargeError, EncodingError, MalformedEncodingError

# Encoding → the window argument of zlib, which also says what is around the deflated data.
WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}


class Inflater:
    """Inflates one body part by part."""

    def __init__(self, encoding: bytes, limit: int) -> None:
        """Begins.

        Args:
            encoding: the header `content-encoding`.
            limit: bytes of the inflated body.

        Raises:
            EncodingError: it is not known, or is more than one.
        """
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
