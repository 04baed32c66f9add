"""Large answers made smaller for clients that can read them so."""

import gzip
import zlib

COMPRESSED_FROM = 1_024  # bytes; what is smaller fits a packet anyway
LEVEL = 1  # of zlib: labels and scores repeat so much that more work saves little


def wanted_encoding(accepted: str) -> str | None:
    """gzip or deflate, if a client's `accept-encoding` names one of them; the first it may be."""
    refused, wanted = set(), []
    for entry in accepted.lower().split(","):
        name, _, weight = (part.strip() for part in entry.partition(";"))
        (refused.add if is_zero(weight) else wanted.append)(name)
    for encoding in ("gzip", "deflate"):
        if encoding not in refused and (encoding in wanted or "*" in wanted):
            return encoding
    return None


def is_zero(weight: str) -> bool:
    """Whether "q=0.000" or the like was said."""
    name, _, value = weight.partition("=")
    return name.strip() == "q" and value.strip().rstrip("0").rstrip(".") in ("", "0")


def compress(content: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(content, LEVEL, mtime=0)
    return zlib.compress(content, LEVEL)
