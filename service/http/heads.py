"""The head of a request: its size, its target, and offers of another protocol."""

from collections.abc import Sequence

import httptools

from service.errors import HeadTooLargeError, MalformedHttpError, TargetTooLongError, WireError

SEPARATORS = 4  # bytes: colon, space, carriage return and line feed
Headers = Sequence[tuple[bytes, bytes]]


def head_size(target: bytes, headers: Headers) -> int:
    """Computes the bytes of a head, without method and version."""
    return len(target) + sum(len(name) + len(value) + SEPARATORS for name, value in headers)


def too_large(target: bytes, limit: int) -> WireError:
    """Makes the error of a head of more than `limit` bytes."""
    if 2 * len(target) > limit:
        return TargetTooLongError("the request's path is too long", limit=limit)
    return HeadTooLargeError(f"the request's head has more than {limit:,} bytes", limit=limit)


def without_upgrade(method: bytes, target: bytes, version: str, headers: Headers) -> bytes:
    """Encodes the head without the offer of another protocol."""
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    lines += [b"%s: %s" % (name, value) for name, value in headers if name != b"upgrade"]
    return b"\r\n".join([*lines, b"", b""])


def origin_form(target: bytes) -> tuple[bytes, bytes]:
    """Splits a target in absolute form.

    Returns:
        The path with its query, and the authority, which is empty for `*`.

    Raises:
        MalformedHttpError: it is not a target.
    """
    if target == b"*":
        return target, b""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserError as error:
        raise MalformedHttpError("the request's target is not a path") from error
    if url.schema not in (b"http", b"https") or not url.host or url.userinfo is not None:
        raise MalformedHttpError("the request's target is not a path")
    host = b"[%s]" % url.host if b":" in url.host else url.host
    authority = b"%s:%d" % (host, url.port) if url.port else host
    path = url.path or b"/"
    return (path if url.query is None else b"%s?%s" % (path, url.query)), authority
