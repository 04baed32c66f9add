"""Requests that another site's page can send are refused; the service's own pass."""

from typing import Any

import pytest

from service.errors import (
    EncodingError,
    ForeignHostError,
    ForeignOriginError,
    MalformedHttpError,
    MediaTypeError,
    ServiceError,
)
from service.http.gateway import Guard
from service.http.guard import ONCE, REMEMBERED_HOSTS, Hosts

LOCAL = Hosts("127.0.0.1", [])
WIDE = Hosts("0.0.0.0", [])
NAMED = Hosts("127.0.0.1", ["app.example", ".inner.example", "192.0.2.9"])
HERE = (b"host", b"localhost:8000")


def check(
    hosts: Hosts | None, *headers: tuple[bytes, bytes], method: str = "GET", path: str = "/info"
) -> type[ServiceError] | None:
    """The kind of the refusal, or None; asked twice, since what passed is remembered."""
    scope: dict[str, Any] = {"http_version": "1.1", "method": method, "path": path}
    scope["headers"] = list(headers)
    kinds: list[type[ServiceError] | None] = []
    for _ in range(2):
        try:
            Guard(hosts).check(scope, dict(headers))
        except ServiceError as error:
            kinds.append(type(error))
        else:
            kinds.append(None)
    assert kinds[0] is kinds[1]
    return kinds[0]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LocalHost:8000",
        "localhost.",
        "localhost.:80",
        "127.0.0.1:8000",
        "127.9.9.9",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]:80",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_is_ours(host: str) -> None:
    for hosts in (LOCAL, WIDE, NAMED):
        assert check(hosts, (b"host", host.encode())) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "rebound.evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example.",
        "EVIL.example",
        "localhost@evil.example",
        "evil.example:localhost",
        "[::2",
        "[evil.example]",
        "[::1]evil.example",
        "localhost:x",
        "",
        ":80",
        ".",
        "app.example.x",
        "xinner.example",
        "inner.example",
        "\xe4.example",
    ],
)
def test_any_other_name_is_foreign(host: str) -> None:
    for hosts in (LOCAL, WIDE, NAMED):
        assert check(hosts, (b"host", host.encode("latin-1"))) is ForeignHostError
    assert check(None, (b"host", host.encode("latin-1"))) is None


def test_beyond_loopback_addresses_and_names_of_the_own_network_are_ours() -> None:
    for host in (b"192.0.2.1:8000", b"[2001:db8::1]", b"understudy:8000"):
        assert check(WIDE, (b"host", host)) is None
        assert check(LOCAL, (b"host", host)) is ForeignHostError
    for host in (b"app.example", b"App.Example.:443", b"a.b.inner.example", b"192.0.2.9"):
        assert check(NAMED, (b"host", host)) is None
    assert check(Hosts("192.0.2.1", []), (b"host", b"192.0.2.1:80")) is None


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://LOCALHOST:8000"])
def test_own_pages_may_ask(origin: str) -> None:
    headers = (HERE, (b"origin", origin.encode()), (b"sec-fetch-site", b"same-origin"))
    assert check(LOCAL, *headers) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost:3000",
        "http://localhost",
        "file://",
        "http://127.0.0.1:8000",
        "http://localhost:8000.evil.example",
        "app.example",
        "chrome-extension://localhost:8000",
        "https://other.example",
    ],
)
def test_other_pages_may_not(origin: str) -> None:
    for hosts in (LOCAL, WIDE, NAMED):
        assert check(hosts, HERE, (b"origin", origin.encode())) is ForeignOriginError
    assert check(None, HERE, (b"origin", origin.encode())) is None


def test_a_page_of_an_allowed_name_may_ask_through_its_proxy() -> None:
    assert check(NAMED, HERE, (b"origin", b"https://app.example")) is None
    assert check(NAMED, HERE, (b"origin", b"https://app.example:8443")) is None
    assert check(NAMED, HERE, (b"origin", b"https://a.inner.example")) is None


@pytest.mark.parametrize(
    ("site", "passes"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("", False),
    ],
)
def test_what_the_browser_says_about_the_page_counts(site: str, passes: bool) -> None:
    found = check(LOCAL, HERE, (b"sec-fetch-site", site.encode()), method="DELETE")
    assert found is (None if passes else ForeignOriginError)


def test_a_link_may_lead_here() -> None:
    visit = [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate")]
    document, frame = (b"sec-fetch-dest", b"document"), (b"sec-fetch-dest", b"iframe")
    assert check(LOCAL, HERE, *visit, document) is None
    assert check(LOCAL, HERE, *visit, frame) is ForeignOriginError
    fetched = (b"sec-fetch-mode", b"no-cors")
    assert check(LOCAL, HERE, visit[0], fetched, document) is ForeignOriginError
    posted = check(LOCAL, HERE, *visit, document, method="POST")
    assert posted is ForeignOriginError


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        'application/json ; v="charset=x" ;Charset="UTF8"',
        "application/merge-patch+json; charset=us-ascii",
    ],
)
def test_json_says_that_it_is(kind: str) -> None:
    sent = ((b"content-type", kind.encode()), (b"content-length", b"5"))
    assert check(LOCAL, HERE, *sent, method="POST") is None


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", '"ISO-8859-1"', "utf-8x", ""])
def test_json_in_another_encoding_is_refused(charset: str) -> None:
    """Some of its bytes are other characters in UTF-8."""
    kind = f"application/json; charset={charset}"
    assert check(LOCAL, HERE, (b"content-type", kind.encode()), method="POST") is MediaTypeError


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"]
)
@pytest.mark.parametrize("hosts", [LOCAL, None])
def test_what_a_form_can_send_is_no_json(hosts: Hosts | None, kind: str) -> None:
    headers = (HERE, (b"content-type", kind.encode()))
    assert check(hosts, *headers, method="POST") is MediaTypeError
    assert check(hosts, *headers, method="POST", path="/v2/models/m/infer") is MediaTypeError
    assert check(hosts, *headers) is None


def test_a_body_without_a_type_is_refused_but_for_the_protocol_that_has_none() -> None:
    for body in ((b"content-length", b"5"), (b"transfer-encoding", b"chunked")):
        assert check(LOCAL, HERE, body, method="POST") is MediaTypeError
        assert check(LOCAL, HERE, body, method="POST", path="/v2/models/m/infer") is None
    assert check(LOCAL, HERE, (b"content-length", b"0"), method="POST") is None
    assert check(LOCAL, HERE, (b"content-type", b"application/octet-stream"), method="POST") is None


def test_the_refusals_say_what_to_do() -> None:
    scope: dict[str, Any] = {"http_version": "1.1", "method": "POST", "path": "/x", "headers": []}
    for headers, advice in (
        ({b"host": b"evil.example"}, "--allowed-hosts"),
        ({b"host": b"localhost", b"origin": b"null"}, "--allowed-hosts"),
        ({b"host": b"localhost", b"sec-fetch-site": b"cross-site"}, "--keys-file"),
        ({b"host": b"localhost", b"content-type": b"text/plain"}, "curl: --json"),
    ):
        with pytest.raises(ServiceError, match=advice):
            Guard(LOCAL).check({**scope, "headers": list(headers.items())}, headers)


def test_a_host_is_needed() -> None:
    assert check(None) is MalformedHttpError


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"identity"])
def test_a_body_comes_in_chunks_or_as_it_is(coding: bytes) -> None:
    json = (b"content-type", b"application/json")
    for hosts in (LOCAL, None):
        sent = (HERE, json, (b"transfer-encoding", coding))
        assert check(hosts, *sent, method="POST") is EncodingError
        sent = (HERE, json, (b"transfer-encoding", b"Chunked"))
        assert check(hosts, *sent, method="POST") is None


@pytest.mark.parametrize("name", sorted(ONCE))
@pytest.mark.parametrize("hosts", [LOCAL, None])
def test_a_header_that_counts_once_is_refused_twice(hosts: Hosts | None, name: bytes) -> None:
    twice = ((name, b"localhost"), (b"accept", b"*/*"), (name, b"localhost"))
    assert check(hosts, HERE, *twice) is MalformedHttpError


def test_other_headers_may_come_twice() -> None:
    assert check(LOCAL, HERE, (b"accept", b"a/b"), (b"accept", b"c/d")) is None


def test_hosts_that_a_client_makes_up_are_not_all_remembered() -> None:
    hosts = Hosts("0.0.0.0", [])
    for number in range(2 * REMEMBERED_HOSTS):
        assert f"localhost:{number}".encode() in hosts
    assert len(hosts.seen) == REMEMBERED_HOSTS
