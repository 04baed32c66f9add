"""The client's address behind trusted and untrusted proxies."""

import pytest

from service.errors import SettingsError
from service.http.guard import NAME_CHARACTERS, Clients, parse_networks

TRUSTED = parse_networks("127.0.0.1, 10.0.0.0/8,fd00::/8", "trusted_proxies")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # no proxy of ours: not believed
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1", "198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("10.2.3.4", ["1.1.1.1,198.51.100.7:4711,10.9.9.9:80"], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7, unknown, 10.0.0.9"], "10.0.0.9"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["9.9.9.9," * 10_000 + "198.51.100.7"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8:1:2:3:4:5:6]:443"], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("::ffff:127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("2001:db8::1", ["198.51.100.7"], "2001:db8::/64"),
    ],
)
def test_the_last_address_that_is_no_proxy_of_ours_counts(
    peer: str, forwarded: list[str], client: str
) -> None:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    headers += [(b"x_forwarded_for", b"6.6.6.6"), (b"x-real-ip", b"6.6.6.6")]
    assert Clients(TRUSTED).name(peer, headers) == client


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert Clients().name("127.0.0.1", [(b"x-forwarded-for", b"1.2.3.4")]) == "127.0.0.1"


def test_a_peer_without_an_address_is_named_by_the_beginning_of_its_own_name() -> None:
    headers = [(b"x-forwarded-for", b"1.2.3.4")]
    assert Clients(TRUSTED).name("testclient", headers) == "testclient"
    assert Clients(TRUSTED).name("p" * 500, headers) == "p" * NAME_CHARACTERS


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0.1/8", "10.0.0.0/8;127.0.0.1", "*"])
def test_what_is_no_network_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="--trusted-proxies"):
        parse_networks(wrong, "trusted_proxies")
