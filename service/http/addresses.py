"""Addresses of clients and hosts, as requests name them."""

import ipaddress
from collections.abc import Iterable, Sequence

from service.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS = 32  # proxies in a row that are looked at
CLIENT_PREFIX = 64  # bits of an IPv6 address: what lies behind it is one client's to choose


def parse_address(text: str) -> Address | None:
    """An IP address, without the port, brackets or zone that it may come with.

    An IPv4 address within an IPv6 one is that IPv4 address.
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
    """Addresses and networks, with commas between them.

    Raises:
        SettingsError: one of them is neither.
    """
    try:
        return tuple(ipaddress.ip_network(word) for word in words(text))
    except ValueError as error:
        raise SettingsError(
            f"--{setting.replace('_', '-')}: {error}; expected addresses or networks such as "
            "10.0.0.0/8, with commas between them",
            setting=setting,
        ) from error


def words(text: str) -> Iterable[str]:
    return filter(None, (word.strip() for word in text.split(",")))


class Clients:
    """Tells clients apart by their addresses, also behind proxies that are trusted."""

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self.trusted = tuple(trusted)

    def is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.trusted)

    def name(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The client's address; of an IPv6 one the network that is its own.

        Args:
            peer: address of the other end of the connection.
            headers: of the request. Each proxy adds to `x-forwarded-for` whom it heard from, so
                the last address that is no trusted proxy's is the client's; what stands before it
                was the client's to write.
        """
        address = parse_address(peer)
        if self.trusted and self.is_trusted(address):
            address = self.forwarded(headers) or address
        if address is None:
            return peer[:HOPS]
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
                break  # nobody vouches for what stands before it
            known = address
            if not self.is_trusted(address):
                break
        return known
