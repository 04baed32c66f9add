"""Finds the node that a request of a compatible API is about.

The rule is the same for every API: an input that is a JSON object `{"node": …}`, as JSON or as
text, is that node, in the form of `/classify`. Any other text is that of an unseen node without
neighbours. Any other input has no node.
"""

from typing import Any

import msgspec
from msgspec import Struct

from service.errors import InvalidFieldError
from service.http.decoding_errors import invalid_field
from service.http.repeats import look_through
from service.messages import Node


class NamedNode(Struct, frozen=True):
    """An object that names a node."""

    node: Node


VALUE = msgspec.json.Decoder()


def node_of_text(text: str, where: str) -> Node:
    """Converts a text that may be a JSON object `{"node": …}`.

    Args:
        where: place of the text in the request.

    Raises:
        InvalidFieldError: the object's node is not as in `/classify`, or has a field twice.
    """
    if text.lstrip()[:1] != "{":
        return Node(text=text)
    try:
        value = VALUE.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return Node(text=text)
    node = node_of_object(value, where)
    if node is None:
        return Node(text=text)
    try:
        look_through(text.encode())
    except InvalidFieldError as error:
        raise error.below(where) from error
    return node


def node_of_object(value: Any, where: str) -> Node | None:
    """Converts a JSON value; None if it is not an object `{"node": …}`.

    Raises:
        InvalidFieldError: see `node_of_text`.
    """
    if not isinstance(value, dict) or value.keys() != {"node"}:
        return None
    try:
        return msgspec.convert(value, NamedNode).node
    except msgspec.ValidationError as error:
        raise invalid_field(str(error), NamedNode).below(where) from error
