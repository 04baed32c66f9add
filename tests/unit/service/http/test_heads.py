"""The head of a request: its size, and targets in absolute form."""

import pytest

from service.errors import HeadTooLargeError, MalformedHttpError, TargetTooLongError
from service.http.heads import head_size, origin_form, too_large, without_upgrade

HEADERS = [(b"host", b"localhost"), (b"upgrade", b"h2c"), (b"accept", b"*/*")]


def test_a_head_is_as_large_as_it_was_sent() -> None:
    sent = b"GET /info HTTP/1.1\r\nhost: localhost\r\nupgrade: h2c\r\naccept: */*\r\n\r\n"
    besides = len(b"GET  HTTP/1.1\r\n\r\n")
    assert head_size(b"/info", HEADERS) == len(sent) - besides


@pytest.mark.parametrize(
    ("target", "kind"), [(b"/" + b"x" * 60, TargetTooLongError), (b"/info", HeadTooLargeError)]
)
def test_the_larger_part_of_a_head_is_named(target: bytes, kind: type[Exception]) -> None:
    assert type(too_large(target, 100)) is kind


def test_an_offer_of_another_protocol_is_left_out_alone() -> None:
    head = without_upgrade(b"GET", b"/info", "1.1", HEADERS)
    assert head == b"GET /info HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "path", "authority"),
    [
        (b"http://localhost/info?a=b", b"/info?a=b", b"localhost"),
        (b"https://localhost:8000/info", b"/info", b"localhost:8000"),
        (b"http://[::1]:8000", b"/", b"[::1]:8000"),
        (b"http://[::1]/", b"/", b"[::1]"),
        (b"*", b"*", b""),
    ],
)
def test_a_target_is_split_in_path_and_authority(
    target: bytes, path: bytes, authority: bytes
) -> None:
    assert origin_form(target) == (path, authority)


@pytest.mark.parametrize(
    "target",
    [b"info", b"ftp://localhost/", b"http:///info", b"http://a@localhost/", b"", b"http://"],
)
def test_what_is_no_target_is_refused(target: bytes) -> None:
    with pytest.raises(MalformedHttpError):
        origin_form(target)
