"""Keys, roles and rates."""

import asyncio
import json
import stat
from pathlib import Path

import pytest

from service.access import Access
from service.errors import ForbiddenError, RateLimitedError, SettingsError, UnauthorizedError
from service.keys import Key, add_key, digest_of, find_key, load_keys
from service.rate_limits import MemoryRateLimiter, RateLimit
from service.roles import Role


def check(access: Access, role: Role, secret: str = "", address: str = "::1") -> None:
    authorization = f"Bearer {secret}".encode() if secret else b""
    asyncio.run(access.check(role, authorization, address))


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


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", "ci", Role.read)
    with pytest.raises(SettingsError, match="ci"):
        add_key(tmp_path / "keys.json", "ci", Role.admin)


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


@pytest.mark.parametrize("sent", [b"", b"Bearer ", b"Basic secret", b"secret", b"Bearer " * 200])
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
    check(access, Role.anyone)


def test_each_key_has_its_own_rate_and_health_has_none() -> None:
    keys = [Key(name, Role.read, digest_of(name.encode())) for name in ("a", "b")]
    access = Access(keys, MemoryRateLimiter(RateLimit(0.001, burst=2)))
    for name in ("a", "a", "b", "b"):
        check(access, Role.read, name)
    with pytest.raises(RateLimitedError) as refused:
        check(access, Role.read, "a")
    assert 900 < (refused.value.retry_after or 0) <= 1_000
    for _ in range(10):
        check(access, Role.anyone)


def test_without_keys_addresses_are_told_apart() -> None:
    access = Access([], MemoryRateLimiter(RateLimit(0.001, burst=1)))
    check(access, Role.admin, address="10.0.0.1")
    check(access, Role.admin, address="10.0.0.2")
    with pytest.raises(RateLimitedError):
        check(access, Role.admin, address="10.0.0.1")
