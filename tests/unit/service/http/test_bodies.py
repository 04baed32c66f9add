"""Compressed bodies: their content and their size limits."""

import gzip
import zlib

import pytest

from service.errors import BodyTooLargeError, EncodingError, MalformedEncodingError, ServiceError
from service.http.bodies import Inflater

TEXT = b'{"nodes": []}' * 1_000
PACKED = {b"gzip": gzip.compress(TEXT, mtime=0), b"Deflate": zlib.compress(TEXT)}


@pytest.mark.parametrize("encoding", PACKED)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_parts_of_any_size_give_the_whole(encoding: bytes, size: int) -> None:
    packed = PACKED[encoding]
    inflater = Inflater(encoding, limit=len(TEXT))
    parts = [packed[start : start + size] for start in range(0, len(packed), size)]
    found = [inflater.inflate(part, last=False) for part in parts[:-1]]
    assert b"".join([*found, inflater.inflate(parts[-1], last=True)]) == TEXT


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = gzip.compress(bytes(2**26))
    with pytest.raises(BodyTooLargeError, match=r"1,000,000"):
        Inflater(b"gzip", limit=1_000_000).inflate(bomb, last=True)
    with pytest.raises(BodyTooLargeError):
        Inflater(b"gzip", limit=len(TEXT) - 1).inflate(PACKED[b"gzip"], last=True)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{}",
        PACKED[b"gzip"][:-1],
        PACKED[b"gzip"] + b"x",
        PACKED[b"gzip"] * 2,
        PACKED[b"Deflate"],
        PACKED[b"gzip"][:-5] + b"wrong",
    ],
)
def test_what_is_not_gzip_is_said(sent: bytes) -> None:
    with pytest.raises(MalformedEncodingError, match="gzip"):
        Inflater(b"gzip", limit=2 * len(TEXT)).inflate(sent, last=True)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"", b"\xff"])
def test_an_unknown_encoding_is_said(encoding: bytes) -> None:
    error: type[ServiceError] = EncodingError
    with pytest.raises(error, match="gzip, x-gzip, deflate"):
        Inflater(encoding, limit=10)
