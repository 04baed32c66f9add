"""Makes the HTTP clients that both clients send their requests with."""

from typing import TypeVar

import httpx

from understudy.client.calls import key_headers
from understudy.client.errors import InvalidRequestError
from understudy.http_environment import UNUSABLE, unusable_environment

Made = TypeVar("Made", httpx.Client, httpx.AsyncClient)


def connections(kind: type[Made], url: httpx.URL, key: str | None, timeout: float) -> Made:
    """Makes a client of httpx, which reads proxies and certificates from the environment.

    Raises:
        InvalidRequestError: the key cannot be sent, or httpx cannot follow the environment.
    """
    headers = key_headers(key)
    try:
        return kind(base_url=url, headers=headers, timeout=timeout)
    except UNUSABLE as error:
        raise InvalidRequestError(unusable_environment(error)) from error
