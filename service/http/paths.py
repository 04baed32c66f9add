"""Paths are routed as they were sent, and what they name is decoded afterwards.

So an id that holds a slash, percent-encoded, is one id in every route, and no two paths that were
sent differently can mean another node than the one that was named.
"""

import re
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope

from service.errors import MalformedPathError

BROKEN_ENCODING = re.compile("%(?![0-9A-Fa-f]{2})")


def use_sent_path(scope: Scope) -> None:
    """Puts the path as it was sent in the place of the decoded one."""
    raw = scope.get("raw_path")
    if raw is not None and b"%" in raw:
        scope["path"] = raw.decode("latin-1")


def decode_part(sent: str) -> str:
    """What a part of a path says.

    Raises:
        MalformedPathError: its percent-encoding is broken, or what it encodes is not UTF-8.
    """
    if "%" not in sent and sent.isascii():
        return sent
    if broken := BROKEN_ENCODING.search(sent):
        raise MalformedPathError(
            f"the path has a bad percent-encoding at character {broken.start()}"
        )
    try:
        return unquote_to_bytes(sent.encode("latin-1")).decode("utf-8")
    except UnicodeError as error:
        raise MalformedPathError("what the path encodes is not UTF-8") from error


class Identifier(Convertor[str]):
    """An id as it was sent; its slashes may be sent as they are, too."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


class NodeAlone(Identifier):
    """An id with nothing behind it that another route has."""

    regex = "(?!.+/neighbors$).+"


register_url_convertor("id", Identifier())
register_url_convertor("node", NodeAlone())
