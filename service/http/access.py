"""Access control: keys, roles and rate limits.

Only a key's SHA-256 is stored. A key has 256 random bits, so this is as hard to invert as a slow
password hash.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import stat
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from starlette.types import Scope

from service.errors import ForbiddenError, RateLimitedError, SettingsError, UnauthorizedError
from service.http.exchange import Exchange
from service.http.guard import SAFE_METHODS, Clients
from service.redis_link import NAMESPACE, RedisLink
from understudy.folders import taking_turns
from understudy.folders.errors import place_errors
from understudy.folders.places import path_problem

MAX_BUCKETS = 10_000  # callers remembered; the least recently seen one is dropped
LONGEST_CALLER = 64  # characters; a longer name is stored as its digest
# One time stamp per bucket, in microseconds of Redis's clock, so that clocks of processes do not
# matter. Stamps are capped, in case that clock was set back. Another program's value is left alone.
# KEYS: the caller. ARGV: microseconds per request, and of a full bucket.
SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local found = redis.pcall('GET', KEYS[1])
local before = now
if found then
    before = type(found) == 'string' and tonumber(found)
end
if not before then
    return redis.error_reply('ERR the key ' .. KEYS[1] .. ' holds no time stamp: remove it')
end
local full_at = math.min(math.max(before, now), now + room) + interval
if full_at - now > room then
    return full_at - now - room
end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil(room / 1000) + 1000)
return 0
"""
MICROSECONDS = 1_000_000
logger = logging.getLogger(__name__)
PREFIX = "understudy_"
KEY_BYTES = 32
BEARER = b"bearer "
MAX_HEADER_BYTES = 512
LONGEST_NAME = 100  # characters
DIGEST = re.compile("[0-9a-fA-F]{64}")  # of SHA-256


@dataclass(frozen=True, slots=True)
class RateLimit:
    requests_per_second: float
    burst: int  # requests allowed at once after a pause


class RateLimiter(Protocol):
    """Limits each caller's rate with a token bucket (generic cell rate algorithm).

    Our own, because it is a dozen lines with one time stamp per caller, says how long to wait, and
    is the same in Redis.
    """

    async def wait_seconds(self, caller: str) -> float:
        """Counts a request and returns 0, or returns the seconds until one is allowed."""


class MemoryRateLimiter:
    """Buckets in this process."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        # caller → monotonic second at which its bucket would be full
        self.full_at: OrderedDict[str, float] = OrderedDict()

    async def wait_seconds(self, caller: str) -> float:
        if len(caller) > LONGEST_CALLER:
            caller = hashlib.sha256(caller.encode()).hexdigest()
        return self.take(caller)

    def take(self, caller: str) -> float:
        """See `RateLimiter`."""
        now, interval = monotonic(), 1 / self.limit.requests_per_second
        full_at = max(self.full_at.pop(caller, now), now) + interval
        excess = full_at - now - self.limit.burst * interval
        if excess > interval * 1e-6:
            self.full_at[caller] = full_at - interval
            return excess
        self.full_at[caller] = full_at
        if len(self.full_at) > MAX_BUCKETS:
            self.full_at.popitem(last=False)
        return 0.0


class RedisRateLimiter:
    """Buckets in Redis; while it is down, buckets in this process."""

    def __init__(self, limit: RateLimit, link: RedisLink) -> None:
        self.link = link
        self.local = MemoryRateLimiter(limit)
        interval = MICROSECONDS / limit.requests_per_second
        self.arguments = [str(round(interval)), str(round(interval * limit.burst))]

    async def wait_seconds(self, caller: str) -> float:
        name = hashlib.sha256(caller.encode()).hexdigest()[:32]
        key = f"{NAMESPACE}:rate:{name}"
        waited = await self.link.call(lambda redis: redis.eval(SCRIPT, 1, key, *self.arguments))
        if waited is None:
            return await self.local.wait_seconds(caller)
        return float(waited) / MICROSECONDS


class Role(IntEnum):
    """Roles; a higher one includes all rights of the lower ones."""

    anyone = 0  # without a key
    read = 1
    write = 2
    admin = 3


KEY_ROLES = tuple(role.name for role in Role if role is not Role.anyone)


def default_role(method: str) -> Role:
    """Role for undeclared paths: admin for changes, so that an oversight grants no right."""
    return Role.read if method in SAFE_METHODS else Role.admin


@dataclass(frozen=True, slots=True)
class Key:
    name: str  # for logs and limits
    role: Role
    sha256: str  # of the secret, in hexadecimal


def digest_of(secret: bytes) -> str:
    return hashlib.sha256(secret).hexdigest()


def find_key(keys: Sequence[Key], authorization: bytes) -> Key | None:
    """Finds the key of an `Authorization: Bearer` header, in time independent of the match."""
    if len(authorization) > MAX_HEADER_BYTES or authorization[: len(BEARER)].lower() != BEARER:
        return None
    digest = digest_of(authorization[len(BEARER) :].strip())
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def check_name(name: str) -> str:
    """Checks that a name fits into one line of the log.

    Raises:
        SettingsError: it is empty, too long, or not printable.
    """
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise SettingsError(
            f"the key's name is {name[:LONGEST_NAME]!r}: expected 1 to {LONGEST_NAME} printable "
            "characters"
        )
    return name


def load_keys(path: Path) -> tuple[Key, ...]:
    """Reads a file of keys; warns if other users may write it.

    Raises:
        SettingsError: it is missing, damaged, or has no key.
    """
    keys = keys_in(path)
    if not keys:
        raise SettingsError(f"{path} contains no keys; make one with `understudy key`")
    return keys


def keys_in(path: Path) -> tuple[Key, ...]:
    """Reads the keys of a file, which may be empty or have none.

    Raises:
        SettingsError: it is missing, or damaged.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        values = json.loads(text)["keys"] if text.strip() else []
        keys = tuple(read_key(value, path) for value in values)
        if path.stat().st_mode & stat.S_IWOTH:
            logger.warning(
                "every user of this machine can write %s and add a key: run chmod 600 on it", path
            )
    except OSError as error:
        absent = isinstance(error, FileNotFoundError)
        advice = f"; `understudy key {path} --name NAME` makes it" if absent else ""
        raise SettingsError(f"cannot read the keys in {path}: {error.strerror}{advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is damaged or not a keys file ({type(error).__name__}: {error}); give a file "
            "made by `understudy key`"
        ) from error
    for attribute, word in (("name", "name"), ("sha256", "secret")):
        counts = Counter(getattr(key, attribute) for key in keys)
        twice = [key.name for key in keys if counts[getattr(key, attribute)] > 1]
        if twice:
            raise SettingsError(
                f"{path} has several keys with the same {word}, {', '.join(twice)}: remove all but "
                "one"
            )
    return keys


def read_key(value: Any, path: Path) -> Key:
    """Parses a key of a file.

    Raises:
        SettingsError: its name, role or digest is invalid; the message names the key.
        KeyError, TypeError: it is not a key.
    """
    name, role, digest = check_name(str(value["name"])), str(value["role"]), str(value["sha256"])
    if role not in KEY_ROLES:
        expected = ", ".join(KEY_ROLES)
        raise SettingsError(
            f"{path}: the key {name!r} has the role {role!r}; expected one of {expected}"
        )
    if not DIGEST.fullmatch(digest):
        raise SettingsError(
            f"{path}: the key {name!r} has no hexadecimal SHA-256, so nobody can use it; make a "
            "new one with `understudy key`"
        )
    return Key(name, Role[role], digest.lower())


def add_key(path: Path, name: str, role: Role) -> str:
    """Adds a new key to a file; a new file is readable by its owner only.

    Returns:
        The secret, which is stored nowhere.

    Raises:
        SettingsError: the file is damaged or has a key of that name, the name is invalid, or the
            path is a URL.
        OutputUnwritableError: it cannot be written.
    """
    check_name(name)
    if problem := path_problem(path):
        raise SettingsError(problem)
    with taking_turns(path), place_errors(path):  # otherwise one of two new keys would be lost
        return add_alone(path, name, role)


def add_alone(path: Path, name: str, role: Role) -> str:
    """Adds a key under the lock of `add_key`."""
    keys = list(keys_in(path)) if path.exists() else []
    if any(key.name == name for key in keys):
        raise SettingsError(f"{path} already has a key {name!r}")
    secret = PREFIX + secrets.token_urlsafe(KEY_BYTES)
    keys.append(Key(name, role, digest_of(secret.encode())))
    values = [{"name": key.name, "role": key.role.name, "sha256": key.sha256} for key in keys]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps({"keys": values}, indent=2) + "\n", encoding="utf-8")
    if path.exists():  # keep owner and mode: root may add keys for a service that runs as a user
        known = path.stat()
        temporary.chmod(stat.S_IMODE(known.st_mode))
        with suppress(PermissionError):
            os.chown(temporary, known.st_uid, known.st_gid)
    temporary.rename(path)
    return secret


class Access:
    """Checks callers; without keys every caller who can connect may do everything."""

    def __init__(
        self, keys: Sequence[Key], limiter: RateLimiter | None, clients: Clients | None = None
    ) -> None:
        self.keys = tuple(keys)
        self.limiter = limiter
        self.clients = clients or Clients()
        self.open = not self.keys and limiter is None  # no check needed

    async def check(self, role: Role, scope: Scope, exchange: Exchange) -> None:
        """Lets allowed requests pass, and records the key's name in the exchange.

        Callers without a known key are counted by address, so that guessing is limited, too.

        Args:
            role: the role that the operation needs.

        Raises:
            ForeignHostError, ForeignOriginError: the guard's refusal.
            RateLimitedError, UnauthorizedError, ForbiddenError.
        """
        if exchange.refusal is not None:
            raise exchange.refusal
        if self.open:
            return
        key = find_key(self.keys, exchange.authorization) if self.keys else None
        if key is not None:
            exchange.key_name = key.name
        if self.limiter is not None:
            caller = f"key:{key.name}" if key else f"address:{self.address(scope)}"
            seconds = await self.limiter.wait_seconds(caller)
            if seconds > 0:
                raise RateLimitedError(seconds)
        if self.keys:
            check_role(key, role, exchange.authorization)

    def address(self, scope: Scope) -> str:
        """Returns the client's address, or "unknown"."""
        client = scope.get("client")
        return self.clients.name(str(client[0]), scope["headers"]) if client else "unknown"


def check_role(key: Key | None, role: Role, authorization: bytes) -> None:
    """Checks that a key's role suffices.

    Args:
        authorization: the header in which no key was found if there is none.

    Raises:
        UnauthorizedError, ForbiddenError.
    """
    if key is None and authorization[: len(BEARER)].lower() == BEARER:
        raise UnauthorizedError(
            "this key is unknown: send one that `understudy key` made; a key that was added after "
            "the service's start is known once it is restarted"
        )
    if key is None:
        raise UnauthorizedError("send a key as `Authorization: Bearer …`")
    if key.role < role:
        raise ForbiddenError(
            f"this needs a key with the role {role.name}; yours has the role {key.role.name}"
        )
