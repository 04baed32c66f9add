"""Converts records to entries of a Redis Stream, and back."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from understudy.graph.log.protocol import Record
from understudy.graph.log.streams.server import Argument, text

TENTATIVE, KEYED = 1, 2  # bits of an entry's kind


class About(NamedTuple):
    """The description of a log, see `scripts`."""

    birth: str
    start: int
    last: int
    link: str


def parse_about(found: Sequence[Any]) -> About | None:
    """The fields of `about` (format, birth, start, last, link); None if there is no log.

    Raises:
        ValueError: they are not what was written.
    """
    if found[1] is None:
        return None
    kind, birth, start, last, link = (text(value) for value in found)
    if kind != "1":
        raise ValueError(f"its format is {kind}, but this release reads only 1")
    return About(birth, int(start), int(last), link)


def arguments_of(record: Record) -> tuple[Argument, Argument, Argument, Argument]:
    """A record as the script's arguments: kind, key, payload, digest."""
    kind = TENTATIVE * record.tentative + KEYED * (record.key is not None)
    key = b"" if record.key is None else record.key.encode("utf-8", "surrogatepass")
    return str(kind), key, record.payload, content_digest(record)


def content_digest(record: Record) -> str:
    """The digest of everything but the number, which the log assigns."""
    return Record(0, record.key, record.payload, record.tentative).checksum(b"").hex()


def next_link(link: str, number: int, digest: str) -> str:
    """The link of a record to the previous one, as the script computes it."""
    return hashlib.sha1(f"{link}:{number}:{digest}".encode(), usedforsecurity=False).hexdigest()


def record_of(
    entry_id: bytes, fields: Mapping[bytes, bytes], number: int, link: str
) -> tuple[Record, str] | None:
    """Converts an entry to a record and its link; None if it is not what was written.

    Args:
        link: of the previous record.
    """
    try:
        kind = int(fields[b"kind"])
        key = fields[b"key"].decode("utf-8", "surrogatepass") if kind & KEYED else None
        record = Record(number, key, fields[b"payload"], bool(kind & TENTATIVE))
        digest = fields[b"digest"].decode()
        stored_link = fields[b"link"].decode()
    except (KeyError, ValueError):
        return None
    right = entry_id == f"{number}-0".encode() and digest == content_digest(record)
    if not right or stored_link != next_link(link, number, digest):
        return None
    return record, stored_link
