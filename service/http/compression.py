"""Large answers made smaller for clients that can read them so."""

import gzip
import zlib

COMPRESSED_FROM = 1_024  # bytes; what is smaller fits a packet anyway
LEVEL = 1  # of zlib: labels and scores repeat so much that more work saves little


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
