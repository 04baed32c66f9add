"""Reading a body, and JSON in it as a struct."""

import re
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import InvalidFieldError, MalformedJsonError

Body = TypeVar("Body")


async def read_body(receive: Receive) -> bytes:
    """The whole body; its size is limited by the gateway, its time by the protocol.

    Raises:
        ClientDisconnect: the client left before it was whole.
    """
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message["body"]
        return body
    parts = []
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def decode(decoder: "msgspec.json.Decoder[Body]", body: bytes | bytearray) -> Body:
    """Parses and checks a body.

    Raises:
        MalformedJsonError: not JSON, or not UTF-8.
        InvalidFieldError: a field is missing, unknown or of a wrong type; it is named.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedJsonError(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise MalformedJsonError("the body is nested too deep") from error


def invalid_field(message: str) -> InvalidFieldError:
    """Turns "Expected `str`, got `int` - at `$.nodes[0].text`" into an error on nodes.0.text."""
    problem, _, path = message.partition(" - at `$")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    own = re.search(r"(?:unknown|required) field `(.*?)`", problem)
    if own:
        field = f"{field}.{own[1]}".lstrip(".")
    return InvalidFieldError(field, problem[:1].lower() + problem[1:])
