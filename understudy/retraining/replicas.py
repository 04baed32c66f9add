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
    address = service_url(url)
    if address.scheme != "http":
        raise RefreshError(
            f"--every-address needs an http address, since the certificate of {address} is only "
            "for its name"
        )
    port = address.port or 80
    try:
        found = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise RefreshError(f"the host name {address.host} cannot be resolved: {error}") from error
    hosts = sorted({str(entry[4][0]) for entry in found})
    return [str(httpx.URL(address, host=host)) for host in hosts]
