"""The services that reload a new bundle: one, or all replicas behind a name."""

import socket

import httpx

from understudy.client.addresses import service_url
from understudy.retraining.errors import RefreshError


def addresses_of(url: str) -> list[str]:
    """Makes the URL for each address of its host, in a fixed order.

    Raises:
        RefreshError: it is https, whose certificate is for the name; or the name is unknown.
        InvalidRequestError: it is not a URL.
    """
    given = service_url(url)
    if given.scheme != "http":
        raise RefreshError(
            f"--every-address needs an http address, since the certificate of {given} is only for "
            "its name"
        )
    port = given.port or 80
    try:
        found = socket.getaddrinfo(given.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RefreshError(f"the host name {given.host} cannot be resolved: {error}") from error
    hosts = sorted({str(entry[4][0]) for entry in found})
    return [str(httpx.URL(given, host=host)) for host in hosts]
