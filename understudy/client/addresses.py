"""Addresses: the service's URL, and paths, queries and headers of requests."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import httpx

from understudy.client.errors import InvalidRequestError
from understudy.client.models import text_of

SHOWN_CHARACTERS = 100


def service_url(text: str) -> httpx.URL:
    """Parses the service's URL; "127.0.0.1:8000" means http.

    Raises:
        InvalidRequestError: it is not the URL of a service.
    """
    text_of("url", text)
    try:
        url = httpx.URL(text if "://" in text else f"http://{text}")
    except httpx.InvalidURL as error:
        raise InvalidRequestError(f"{shown(text)} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host or not (url.port or 1) < 65_536:
        raise InvalidRequestError(f"{shown(text)} is not a URL such as http://127.0.0.1:8000")
    if url.query or url.fragment:
        raise InvalidRequestError(
            f"{shown(text)}: remove the query or fragment (everything from ? or # on)"
        )
    return url


def node_path(node_id: str) -> str:
    """Makes the path of a stored node; every character of its id is escaped.

    Raises:
        InvalidRequestError: no node can have that id.
    """
    if not text_of("a node's id", node_id):
        raise InvalidRequestError("a node's id must not be empty")
    try:
        sent = quote(node_id, safe="")
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"the id {shown(node_id)} contains half a character (a lone surrogate)"
        ) from error
    # Unescaped, "." and ".." would be removed when a proxy or library normalises the path.
    return "/nodes/" + (sent.replace(".", "%2E") if sent in (".", "..") else sent)


def query_path(path: str, query: Mapping[str, str | int | None]) -> str:
    """Appends a query to a path; values that are None are left out.

    Raises:
        InvalidRequestError: a value cannot be encoded in a URL.
    """
    parameters = {name: value for name, value in query.items() if value is not None}
    try:
        return f"{path}?{urlencode(parameters)}"
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"the query of {path} contains half a character (a lone surrogate)"
        ) from error


def header_value(name: str, value: str) -> str:
    """Checks a header's value.

    Raises:
        InvalidRequestError: it cannot be sent in a header.
    """
    if not text_of(name, value).isascii() or not value.isprintable():
        raise InvalidRequestError(f"the {name} must be printable ASCII")
    return value


def shown(words: str) -> str:
    """Shortens a caller's text for a message."""
    return repr(words if len(words) <= SHOWN_CHARACTERS else words[:SHOWN_CHARACTERS] + "…")
