"""Binding an address."""

import socket

import pytest

from service.errors import AddressError
from service.server import bind, url_of


def test_port_0_picks_a_free_one() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert url_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressError, match=str(port)):
            bind("127.0.0.1", port)


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(AddressError, match=r"300\.1\.1\.1"):
        bind("300.1.1.1", 0)
