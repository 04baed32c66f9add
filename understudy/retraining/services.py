"""The services that a refresh reloads: one, or all replicas behind a name."""

import socket

import httpx

from understudy.client import Client, RefusedError, UnavailableError
from understudy.client.addresses import service_url
from understudy.retraining.errors import BundleRefusedError, RefreshError
from understudy.retraining.options import RefreshOptions

AGAIN = "run the same command again to repeat the reload"


def services_of(options: RefreshOptions) -> list[str]:
    """The URLs of the services that serve the graph."""
    source = options.source
    return addresses_of(source) if options.every_address else [source]


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


def check_serving(options: RefreshOptions, version: str) -> None:
    """Checks that all services serve the bundle in the folder, which will be compared.

    Args:
        version: of that bundle.

    Raises:
        RefreshError: one serves another bundle.
        ClientError: one does not answer.
    """
    for url in services_of(options):
        with client_of(url, options) as client:
            serving = client.info()["model_version"]
        if serving != version:
            raise RefreshError(
                f"{url} serves the model {serving}, but {options.bundle} holds {version}; "
                "give the served bundle, or reload the service first"
            )


def reload_bundle(url: str, options: RefreshOptions, version: str) -> None:
    """Makes a service load the bundle in the folder, unless it serves it already.

    Args:
        version: of that bundle.

    Raises:
        BundleRefusedError: the service refuses the bundle; the message is its reason.
        RefreshError: it does not answer, refuses the request, or loads something else.
    """
    try:
        with client_of(url, options) as client:
            serving = client.info()["model_version"]
            if serving != version:
                serving = client.reload()["model_version"]
    except UnavailableError as error:
        raise RefreshError(f"{error}; {AGAIN}") from error
    except RefusedError as error:
        if error.code == "reload_refused":
            raise BundleRefusedError(str(error)) from error
        raise RefreshError(f"{url}: {error}; {AGAIN}") from error
    if serving != version:
        raise RefreshError(
            f"{url} loaded {serving} instead of the bundle in {options.bundle}; serve that folder"
        )


def client_of(url: str, options: RefreshOptions) -> Client:
    return Client(url, options.key, options.timeout)
