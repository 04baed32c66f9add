"""Keys, roles and rates."""

import asyncio
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from service.errors import (
    ForbiddenError,
    ForeignHostError,
    RateLimitedError,
    SettingsError,
    UnauthorizedError,
)
from service.http.access import (
    MAX_BUCKETS,
    Access,
    Key,
    MemoryRateLimiter,
    RateLimit,
    Role,
    add_key,
    default_role,
    digest_of,
    find_key,
    load_keys,
)
from service.http.bodies import SerialExecutor
from service.http.exchange import Exchange
from service.http.guard import Clients, parse_networks


def check(
    access: Access, role: Role, secret: str = "", address: str = "::1", forwarded: str = ""
) -> None:
    headers = [(b"authorization", f"Bearer {secret}".encode())] if secret else []
    if forwarded:
        headers.append((b"x-forwarded-for", forwarded.encode()))
    scope = {"type": "http", "headers": headers, "client": (address, 1)}
    exchange = Exchange(scope, unused, unused, 0, SerialExecutor())
    asyncio.run(access.check(role, scope, exchange))


async def unused(*_: object) -> Any:
    raise AssertionError


def test_a_key_is_kept_as_its_digest_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    secrets = [add_key(path, role.name, role) for role in (Role.read, Role.write, Role.admin)]
    assert len(set(secrets)) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not any(secret in path.read_text() for secret in secrets)
    keys = load_keys(path)
    assert [key.role for key in keys] == [Role.read, Role.write, Role.admin]
    for key, secret in zip(keys, secrets, strict=True):
        assert find_key(keys, f"bearer {secret}".encode()) == key


def test_a_url_is_not_a_file_of_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=r"s3://bucket/keys.json is a URL"):
        add_key(Path("s3://bucket/keys.json"), "one", Role.read)
    assert not list(tmp_path.iterdir())


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", "ci", Role.read)
    with pytest.raises(SettingsError, match="ci"):
        add_key(tmp_path / "keys.json", "ci", Role.admin)


@pytest.mark.parametrize("content", ['{"keys": []}', "", "\n"], ids=["none left", "empty", "blank"])
def test_a_file_whose_last_key_was_taken_out_takes_a_new_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    secret = add_key(path, "next", Role.read)
    assert find_key(load_keys(path), b"Bearer " + secret.encode()) is not None


def test_a_keys_file_that_is_not_there_is_told_how_to_make(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"`understudy key .*keys\.json --name NAME` makes it"):
        load_keys(tmp_path / "keys.json")


def test_a_damaged_file_of_keys_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"keys": [')
    with pytest.raises(SettingsError, match=r"is damaged or not a keys file \(JSONDecodeError"):
        add_key(path, "next", Role.read)
    assert path.read_text() == '{"keys": ['


def test_keys_that_are_made_at_once_are_all_kept_and_who_could_read_them_still_can(
    tmp_path: Path,
) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "first", Role.read)
    path.chmod(0o640)
    names = [f"key-{number}" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: add_key(path, name, Role.read), names))
    assert {key.name for key in load_keys(path)} == {"first", *names}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"name": "a", "role": "god", "sha256": ""}]}',
        json.dumps({"keys": [{"name": "a", "role": "anyone", "sha256": ""}]}),
    ],
)
def test_a_file_without_keys_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(SettingsError):
        load_keys(tmp_path / "keys.json")
    with pytest.raises(SettingsError):
        load_keys(tmp_path / "missing.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "understudy_secret"}, "'b' has no hexadecimal SHA-256"),  # the key itself
        ({"sha256": "\u00e4" * 64}, "'b' has no hexadecimal SHA-256"),
        ({"role": "reader"}, "'b' has the role 'reader'; expected one of read, write, admin"),
        ({"name": "a"}, "several keys with the same name, a, a"),
        ({"sha256": digest_of(b"a").upper()}, "several keys with the same secret, a, b"),
    ],
)
def test_a_key_that_could_open_nothing_or_that_is_another_is_told(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    keys = [{"name": n, "role": "read", "sha256": digest_of(n.encode())} for n in ("a", "b")]
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [keys[0], keys[1] | change]}))
    with pytest.raises(SettingsError, match=message) as refused:
        load_keys(path)
    assert str(path) in str(refused.value)
    assert "understudy_secret" not in str(refused.value)


def test_a_file_of_keys_may_come_from_another_system(tmp_path: Path) -> None:
    content = {"keys": [{"name": "a", "role": "read", "sha256": digest_of(b"a").upper()}]}
    path = tmp_path / "keys.json"
    path.write_bytes(
        b"\xef\xbb\xbf" + json.dumps(content, indent=1).encode().replace(b"\n", b"\r\n")
    )
    keys = load_keys(path)
    assert find_key(keys, b"Bearer a") == keys[0]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"Bearer ",
        b"Apikey secret",  # as long as the right word
        b"secret",
        b"Bearer secret x",
        b"Bearer " + b" " * 512 + b"secret",
    ],
)
def test_what_is_no_key_is_none(sent: bytes) -> None:
    assert find_key([Key("a", Role.admin, digest_of(b"secret"))], sent) is None


def test_a_role_may_do_what_lower_ones_may() -> None:
    roles = [Role.read, Role.write, Role.admin]
    access = Access([Key(role.name, role, digest_of(role.name.encode())) for role in roles], None)
    for has in roles:
        for needs in roles:
            if has >= needs:
                check(access, needs, has.name)
            else:
                with pytest.raises(ForbiddenError, match=needs.name):
                    check(access, needs, has.name)
    with pytest.raises(UnauthorizedError):
        check(access, Role.read)


def test_each_key_has_its_own_rate() -> None:
    keys = [Key(name, Role.read, digest_of(name.encode())) for name in ("a", "b")]
    access = Access(keys, MemoryRateLimiter(RateLimit(0.001, burst=2)))
    for name in ("a", "a", "b", "b"):
        check(access, Role.read, name)
    with pytest.raises(RateLimitedError) as refused:
        check(access, Role.read, "a")
    assert 900 < (refused.value.retry_after or 0) <= 1_000


def test_without_keys_addresses_are_told_apart() -> None:
    access = Access([], MemoryRateLimiter(RateLimit(0.001, burst=1)))
    check(access, Role.admin, address="10.0.0.1")
    check(access, Role.admin, address="10.0.0.2")
    with pytest.raises(RateLimitedError):
        check(access, Role.admin, address="10.0.0.1")


def test_behind_a_trusted_proxy_its_clients_are_told_apart() -> None:
    clients = Clients(parse_networks("10.0.0.1", "trusted_proxies"))
    access = Access([], MemoryRateLimiter(RateLimit(0.001, burst=1)), clients)
    for client in ("192.0.2.1", "192.0.2.2"):
        check(access, Role.admin, address="10.0.0.1", forwarded=client)
    with pytest.raises(RateLimitedError):
        check(access, Role.admin, address="10.0.0.1", forwarded="192.0.2.1")
    check(access, Role.admin, address="10.0.0.2", forwarded="192.0.2.3")
    with pytest.raises(RateLimitedError):  # no proxy of ours: not believed
        check(access, Role.admin, address="10.0.0.2", forwarded="192.0.2.4")


@pytest.mark.parametrize("limiter", [None, MemoryRateLimiter(RateLimit(1, burst=1))])
def test_what_the_guard_refuses_is_refused_before_anything_is_asked(
    limiter: MemoryRateLimiter | None,
) -> None:
    scope = {"type": "http", "headers": [], "client": ("::1", 1)}
    exchange = Exchange(scope, unused, unused, 0, SerialExecutor())
    exchange.refusal = ForeignHostError("another host")
    for keys in ([], [Key("a", Role.read, digest_of(b"a"))]):
        with pytest.raises(ForeignHostError):
            asyncio.run(Access(keys, limiter).check(Role.read, scope, exchange))


def test_a_change_that_declares_no_role_is_for_admins() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        assert default_role(method) == Role.read
    for method in ("POST", "PUT", "PATCH", "DELETE", "NEW"):
        assert default_role(method) == Role.admin


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x1b[0m", "x" * 101])
def test_a_name_is_one_line_of_print(tmp_path: Path, name: str) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(SettingsError, match="name"):
        add_key(path, name, Role.read)
    value = {"keys": [{"name": name, "role": "read", "sha256": ""}]}
    path.write_text(json.dumps(value))
    with pytest.raises(SettingsError, match="name"):
        load_keys(path)


def test_who_has_no_known_key_is_counted_by_address() -> None:
    keys = [Key("a", Role.read, digest_of(b"a"))]
    access = Access(keys, MemoryRateLimiter(RateLimit(0.001, burst=2)))
    for secret, said in (("x", "this key is unknown"), ("", "send a key as")):
        with pytest.raises(UnauthorizedError, match=said):
            check(access, Role.read, secret, "192.0.2.1")
    with pytest.raises(RateLimitedError):
        check(access, Role.read, "y", "192.0.2.1")
    with pytest.raises(UnauthorizedError):
        check(access, Role.read, "y", "192.0.2.2")
    with pytest.raises(ForbiddenError):
        check(access, Role.admin, "a", "192.0.2.1")
    check(access, Role.read, "a", "192.0.2.1")
    with pytest.raises(RateLimitedError):
        check(access, Role.read, "a", "192.0.2.1")


def test_only_so_many_callers_are_remembered_and_none_in_full() -> None:
    """The longest unseen ones are forgotten, and no name is kept that a client makes long."""

    async def ask() -> None:
        limiter = MemoryRateLimiter(RateLimit(0.001, burst=1))
        for number in range(MAX_BUCKETS):
            assert await limiter.wait_seconds(f"{number:05}" + "x" * 60_000 * (number == 0)) == 0
        assert await limiter.wait_seconds("00000" + "x" * 60_000) > 0  # remembered, by its digest
        assert await limiter.wait_seconds("00001") > 0
        for number in range(10):
            assert await limiter.wait_seconds(f"new {number}") == 0
        assert len(limiter.full_at) == MAX_BUCKETS
        assert max(map(len, limiter.full_at)) <= 64
        assert await limiter.wait_seconds("00002") == 0  # forgotten
        assert await limiter.wait_seconds("00001") > 0  # asked lately

    asyncio.run(ask())


def test_keys_in_a_file_that_all_may_write_are_remarked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    add_key(path, "ci", Role.read)
    load_keys(path)
    assert caplog.records == []
    path.chmod(0o666)
    load_keys(path)
    assert "chmod 600" in caplog.text
