"""Recognises clients and hosts, and requests that a web page of another site may have caused.

A browser sends any page's request to a service on its own machine. If keys are required, such a
request lacks one. Without keys it is recognised by what browsers add and pages cannot change: the
host, the origin, and media types that no form can send.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from starlette.types import Scope

from service.errors import (
    EncodingError,
    ForeignHostError,
    ForeignOriginError,
    MalformedHttpError,
    MediaTypeError,
    SettingsError,
)
from service.http.exchange import IDEMPOTENCY_KEY, JSON_BYTES, MIN_VERSION, TIMEOUT
from understudy.engine.errors import shortened

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS = 32  # maximum number of proxies that are followed
NAME_CHARACTERS = 32  # of a peer without an IP address
CLIENT_PREFIX = 64  # bits of an IPv6 address; a client can choose the remaining bits itself
Headers = Mapping[bytes, bytes]
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# Accepted besides JSON: no form sends it, and the Open Inference Protocol appends tensors to JSON.
BINARY = b"application/octet-stream"
UNTYPED_PATHS = "/v2/"  # of that protocol, whose clients send no media type
OWN_FETCHES = (b"same-origin", b"none")  # none: the user entered the address
ONCE = {b"host", b"authorization", b"content-type", b"content-encoding", b"origin"}
ONCE |= {IDEMPOTENCY_KEY, MIN_VERSION, TIMEOUT}
REMEMBERED_HOSTS = 64
HOST = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
CHARSET = re.compile(rb'(?:^|;)\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
UTF_8 = (b"utf-8", b"utf8", b"us-ascii", b"ascii")  # all read as UTF-8


def parse_address(text: str) -> Address | None:
    """Parses an IP address, ignoring port, brackets and zone.

    An IPv4-mapped IPv6 address becomes the IPv4 address.
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_networks(text: str, setting: str) -> tuple[Network, ...]:
    """Parses addresses and networks, separated by commas.

    Raises:
        SettingsError: an item is neither.
    """
    try:
        return tuple(ipaddress.ip_network(word) for word in words(text))
    except ValueError as error:
        raise SettingsError(
            f"--{setting.replace('_', '-')}: {error}; expected addresses or networks such as "
            "10.0.0.0/8, separated by commas",
            setting=setting,
        ) from error


def parse_hosts(text: str) -> tuple[str, ...]:
    """Parses names and addresses, separated by commas; a leading dot includes all subdomains.

    Raises:
        SettingsError: an item is neither, so that no request could match it.
    """
    hosts = tuple(words(text))
    for host in hosts:
        if not HOST.fullmatch(host) and not is_ipv6(host.removeprefix("[").removesuffix("]")):
            raise SettingsError(
                f"--allowed-hosts: {host!r} is not a host; expected names such as app.example or "
                ".inner.example, or addresses, without scheme, port and path, separated by commas",
                setting="allowed_hosts",
            )
    return hosts


def words(text: str) -> Iterable[str]:
    return filter(None, (word.strip() for word in text.split(",")))


class Clients:
    """Identifies clients by address, also behind trusted proxies."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self.trusted = tuple(trusted)

    def is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.trusted)

    def name(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Returns the client's address; of an IPv6 address only its network.

        Args:
            peer: address of the other end of the connection.
            headers: of the request. Each proxy appends to `x-forwarded-for` the address of its
                peer, so the last address that is not a trusted proxy is the client; earlier entries
                may be forged by the client.
        """
        address = parse_address(peer)
        if self.trusted and self.is_trusted(address):
            address = self.forwarded(headers) or address
        if address is None:
            return peer[:NAME_CHARACTERS]
        if isinstance(address, ipaddress.IPv6Address):
            return str(ipaddress.ip_network((address, CLIENT_PREFIX), strict=False))
        return str(address)

    def forwarded(self, headers: Iterable[tuple[bytes, bytes]]) -> Address | None:
        lists = [value for name, value in headers if name == b"x-forwarded-for"]
        hops = b",".join(lists).decode("latin-1").rsplit(",", HOPS)[-HOPS:]
        known = None
        for hop in reversed(hops):
            address = parse_address(hop)
            if address is None:
                break  # entries before an invalid one cannot be trusted
            known = address
            if not self.is_trusted(address):
                break
        return known


class Hosts:
    """The hosts by which the service may be addressed."""

    def __init__(self, bound: str, allowed: Iterable[str]) -> None:
        """Accepts loopback, the bound address, and the allowed hosts.

        Args:
            bound: host that the service listens on. Beyond loopback, any address is accepted, and
                any name without a dot: a page's owner cannot make such a name lead here.
            allowed: further names and addresses; a leading dot includes all subdomains.
        """
        self.allowed = frozenset(name.lower().rstrip(".") for name in allowed)
        self.names = {"localhost", bound.lower()} | self.allowed
        self.suffixes = tuple(name for name in self.allowed if name.startswith("."))
        self.addresses = {address for name in self.names if (address := parse_address(name))}
        self.remote = not is_local(bound)
        self.seen: set[bytes] = set()  # headers that were accepted

    def __contains__(self, header: bytes) -> bool:
        """Whether a header `host` names one of them, with any port."""
        if header in self.seen:
            return True
        known = self.knows(host_name(header))
        if known and len(self.seen) < REMEMBERED_HOSTS:
            self.seen.add(header)
        return known

    def knows(self, name: str | None) -> bool:
        if not name:
            return False
        address = parse_address(name)
        if address is not None:
            return self.remote or is_loopback(address) or address in self.addresses
        return (
            name in self.names or name.endswith(self.suffixes) or (self.remote and "." not in name)
        )

    def check(self, scope: Scope, headers: Headers) -> None:
        """Checks that a request is addressed to this service and not sent by another site's page.

        Raises:
            ForeignHostError, ForeignOriginError.
        """
        host = headers.get(b"host")
        if host is not None and host not in self:
            raise ForeignHostError(
                f"the host {shown(host)} is not this service's: without keys it answers only at "
                "its own address; start it with --allowed-hosts or with --keys-file"
            )
        origin = headers.get(b"origin")
        if origin is not None and not self.is_own(origin, host):
            raise ForeignOriginError(
                f"the origin {shown(origin)} is another site: without keys only pages of this "
                "service may send requests; start it with --allowed-hosts or with --keys-file"
            )
        site = headers.get(b"sec-fetch-site", b"none")
        if site not in OWN_FETCHES and not is_visit(scope, headers):
            raise ForeignOriginError(
                "a page of another site sent this: without keys only pages of this service may "
                "send requests; start it with --keys-file"
            )

    def is_own(self, origin: bytes, host: bytes | None) -> bool:
        """Whether a page's origin is the host of the request, or an allowed name.

        Behind a proxy the header `host` may be the proxy's name of the service.
        """
        scheme, _, authority = origin.lower().partition(b"://")
        if scheme not in (b"http", b"https") or not authority:
            return False
        if host is not None and authority == host.lower():
            return True
        name = host_name(authority)
        return name is not None and (name in self.allowed or name.endswith(self.suffixes))


def is_visit(scope: Scope, headers: Headers) -> bool:
    """Whether the user follows a link: the linking page cannot read the answer."""
    return (
        scope["method"] == "GET"
        and headers.get(b"sec-fetch-mode") == b"navigate"
        and headers.get(b"sec-fetch-dest") == b"document"
    )


def is_loopback(address: Address | None) -> bool:
    return isinstance(address, IPv4Address | IPv6Address) and address.is_loopback


def is_local(name: str) -> bool:
    """Whether a host is loopback only; names other than localhost count as remote."""
    return name == "localhost" or is_loopback(parse_address(name))


def host_name(header: bytes) -> str | None:
    """Extracts the name of `name:port`, in lower case, without brackets or final dot; or None."""
    try:
        text = header.decode("ascii").strip().lower()
    except UnicodeDecodeError:
        return None
    if text.startswith("["):
        name, closed, port = text[1:].partition("]")
        if not closed or not is_ipv6(name) or (port and not port.startswith(":")):
            return None
        port = port[1:]
    else:
        name, _, port = text.partition(":")
    if port and not port.isdigit():
        return None
    return name.removesuffix(".") or None


def is_ipv6(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text))
    except ValueError:
        return False


def check_repeated(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuses repeated headers for which it is ambiguous which one counts."""
    seen = set()
    for name, _ in headers:
        if name in ONCE and name in seen:
            raise MalformedHttpError(f"the header `{name.decode()}` was sent more than once")
        seen.add(name)


def check_coding(coding: bytes) -> None:
    """Refuses a transfer encoding other than chunked.

    Raises:
        EncodingError.
    """
    if coding.strip().lower() != b"chunked":
        raise EncodingError("transfer-encoding: expected `chunked` alone; see content-encoding")


def check_media_type(path: str, headers: Headers) -> None:
    """Refuses a body that is not declared as JSON, such as a form's."""
    value = headers.get(b"content-type")
    if value is None:
        sent = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        if not sent or path.startswith(UNTYPED_PATHS):
            return
    else:
        kind, _, parameters = value.partition(b";")
        if is_json(kind.strip().lower()) and is_utf_8(parameters):
            return
    declared = "nothing" if value is None else shown(value)
    raise MediaTypeError(
        f"the header `content-type` says {declared}: send the body with `content-type: "
        "application/json` (curl: --json instead of -d, or -H 'content-type: application/json'), "
        "in UTF-8"
    )


def is_json(kind: bytes) -> bool:
    """Whether a media type, in lower case, is JSON, or tensors appended to JSON."""
    return kind in (JSON_BYTES, BINARY) or (
        kind.startswith(b"application/") and kind.endswith(b"+json")
    )


def is_utf_8(parameters: bytes) -> bool:
    """Whether a media type names no character encoding other than UTF-8."""
    found = CHARSET.search(parameters)
    return found is None or found[1].lower() in UTF_8


def shown(value: bytes) -> str:
    return repr(shortened(value.decode("latin-1")))
