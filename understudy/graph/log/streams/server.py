"""A Redis server that keeps a log: sends requests, and checks that acknowledged writes are kept."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from time import monotonic, sleep
from typing import Any, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from understudy.graph.errors import JournalError, LogAwayError, LogUnsureError
from understudy.graph.log.streams.options import RedisLogOptions

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.05  # seconds between two attempts to reach it; doubles
LONGEST_PAUSE = 2.0
CALL_SECONDS = 5.0
CONNECT_SECONDS = 2.0
TURN_MILLISECONDS = 600_000  # after which a process that took a turn counts as dead
WAIT_MILLISECONDS = 3_000  # for the disk or replicas; less than a call may take
# No server, or none that accepts writes: another one may be about to take its place.
AWAY = (RedisConnectionError, RedisTimeoutError, OSError, ReadOnlyError, ClusterDownError)
# As contained in a script's errors; Redis before 7 has no specific error for them.
READ_ONLY = "READONLY You can't write"
OUT_OF_MEMORY = "OOM command not allowed"
WRONG_TYPE = "WRONGTYPE"
RECORDS = ":records"  # how the key of the stream ends; the others are hashes
Argument = str | bytes | int
Result = TypeVar("Result")


class Server:
    """One connection to the server; not thread-safe."""

    def __init__(self, options: RedisLogOptions) -> None:
        """Prepares a connection, which is opened on the first call.

        Raises:
            JournalError: the URL is not a Redis URL.
        """
        self.options = options
        try:
            self.client: Any = Redis.from_url(
                options.url,
                socket_timeout=CALL_SECONDS,
                socket_connect_timeout=CONNECT_SECONDS,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                decode_responses=False,
            )
        except (ValueError, TypeError) as error:
            raise JournalError(
                "--log is not the URL of a Redis; expected redis://host:6379/0"
            ) from error
        found = self.client.connection_pool.connection_kwargs
        self.where = str(found.get("path") or f"{found.get('host')}:{found.get('port')}")

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Converts the client's errors to ours.

        Raises:
            LogAwayError: the server does not answer, or accepts no writes at the moment.
            JournalError: it refuses.
        """
        try:
            yield
        except AuthenticationError as error:
            raise JournalError(f"Redis at {self.where} denies access: {error}") from error
        except AWAY as error:
            raise self.away(error) from error
        except RedisError as error:
            if writes_no_more(error):
                raise self.away(error) from error
            if isinstance(error, OutOfMemoryError) or OUT_OF_MEMORY in str(error):
                raise JournalError(
                    f"Redis at {self.where} is full and the change was not kept; raise its "
                    "maxmemory"
                ) from error
            raise JournalError(f"Redis at {self.where} refuses: {error}") from error

    def away(self, error: Exception) -> LogAwayError:
        """The error for a server that is unreachable or does not write."""
        self.leave()
        return LogAwayError(
            f"the log in Redis at {self.where} is unavailable ({error}); the graph can still be "
            "read"
        )

    def leave(self) -> None:
        """Drops the connections, so that the next call looks for the server again.

        A server that has become a replica keeps its connections, and would be asked forever.
        """
        self.client.connection_pool.disconnect()

    def ask(self, question: Callable[[Any], Result]) -> Result:
        """Sends an idempotent request, and retries once if the connection had ended."""
        with self.talking():
            try:
                return question(self.client)
            except (RedisConnectionError, OSError):
                return question(self.client)

    def run(self, script: str, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:
        """The result of an idempotent script, which may be sent repeatedly."""
        with self.naming(keys):
            return self.ask(lambda client: evaluate(client, script, keys, arguments))

    def write(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Runs a script once, and waits until its writes are as safe as the options require.

        Raises:
            LogUnsureError: it was written, but is not that safe yet.
            LogAwayError: it may have been written.
            JournalError: it was not written.
        """
        with self.naming(keys), self.talking():
            waits = self.waiting()
            answer, lack = evaluate_and_wait(self.client, script, keys, arguments, waits)
        if lack:
            raise LogUnsureError(
                f"Redis at {self.where} has the change, but not as safely as required: {lack} "
                "(--log-wait-disk, --log-wait-replicas); send it again with the same key"
            )
        return answer

    @contextmanager
    def naming(self, keys: Sequence[str]) -> Iterator[None]:
        """Names the keys if one holds another program's data, because Redis does not."""
        try:
            yield
        except JournalError as error:
            if WRONG_TYPE not in str(error):
                raise
            kinds = self.ask(lambda client: [text(client.type(key)) for key in keys])
            wrong = [
                f"{key} ({kind})"
                for key, kind in zip(keys, kinds, strict=True)
                if kind not in ("none", "stream" if key.endswith(RECORDS) else "hash")
            ]
            raise JournalError(
                f"Redis at {self.where} holds other data where the log should be: remove or rename "
                f"{', '.join(wrong)}, or give the log another database"
            ) from error

    def waiting(self) -> tuple[Argument, ...]:
        """The command that waits for a write to be safe; empty if none is required."""
        replicas = self.options.wait_replicas
        if self.options.wait_disk:
            return "WAITAOF", 1, replicas, WAIT_MILLISECONDS
        return ("WAIT", replicas, WAIT_MILLISECONDS) if replicas else ()

    def check(self) -> None:
        """Checks that the server keeps acknowledged writes, as far as it reports.

        Raises:
            JournalError: it is configured to lose acknowledged writes, and that is not allowed; or
                it cannot wait for its disk; or it refuses everything.
        """
        # Every script needs it: a wrong password or database is no lack of a permission or option.
        self.ask(lambda client: client.time())
        if self.options.wait_disk:
            self.check_waits()
        reasons = self.risks()
        if not reasons:
            return
        problem = f"Redis at {self.where} may lose acknowledged changes: {'; '.join(reasons)}"
        if not self.options.allow_loss:
            raise JournalError(f"{problem}. Or accept this with --log-allow-loss")
        logger.warning("%s. Accepted, since --log-allow-loss is set", problem)

    def check_waits(self) -> None:
        try:
            self.ask(lambda client: client.execute_command("WAITAOF", 1, 0, WAIT_MILLISECONDS))
        except LogAwayError:
            raise
        except JournalError as error:
            if "unknown command" not in str(error):
                raise JournalError(
                    f"--log-wait-disk: {error}; set `appendonly yes` there, or leave it out"
                ) from error
            raise JournalError(
                f"--log-wait-disk needs Redis 7.2 or Valkey: the server at {self.where} has no "
                "WAITAOF; set `appendfsync always` there instead"
            ) from error

    def risks(self) -> list[str]:
        """The risks in the server's configuration, each with advice."""
        try:
            found: dict[Any, Any] = self.ask(read_configuration)
        except LogAwayError:
            raise
        except JournalError:
            return [
                "this user may not read its configuration (CONFIG GET), so make sure that it has "
                "`appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction`"
            ]
        settings = {text(name): text(value) for name, value in found.items()}
        reasons = []
        if settings.get("appendonly") != "yes":
            reasons.append("set `appendonly yes` and `appendfsync always` there")
        elif (policy := settings.get("appendfsync")) != "always" and not (
            policy == "everysec" and self.options.wait_disk
        ):
            waits = ", or use --log-wait-disk with Redis 7.2" if policy == "everysec" else ""
            reasons.append(f"appendfsync is {policy}: set `appendfsync always` there{waits}")
        if settings.get("maxmemory-policy", "").startswith("allkeys"):
            reasons.append(
                f"maxmemory-policy is {settings['maxmemory-policy']}, so it may evict the log: set "
                "`maxmemory-policy noeviction` there"
            )
        return reasons

    def close(self) -> None:
        with suppress(RedisError, OSError):
            self.client.close()


def writes_no_more(error: Exception) -> bool:
    """Whether a server reports that it has become a replica."""
    return isinstance(error, ReadOnlyError) or READ_ONLY in str(error)


def read_configuration(client: Any) -> dict[Any, Any]:
    return {**client.config_get("append*"), **client.config_get("maxmemory-policy")}


def text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def script_hash(script: str) -> str:
    """The name that Redis gives a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def evaluate(client: Any, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
    return evaluate_and_wait(client, script, keys, arguments, ())[0]


def evaluate_and_wait(
    client: Any,
    script: str,
    keys: Sequence[str],
    arguments: Sequence[Argument],
    waits: Sequence[Argument],
) -> tuple[Any, str]:
    """Runs a script, and on the same connection a command that waits for its writes.

    Returns:
        The script's result, and what the wait did not achieve; "" if nothing is missing.
    """
    values = (len(keys), *keys, *arguments)
    if waits:  # in vain for a script that the server does not have, so it is sent along
        answer, waited = send(client, ("EVAL", script, *values), waits)
    else:
        call = ("EVALSHA", script_hash(script), *values)
        answer, waited = send(client, call)
        if isinstance(answer, NoScriptError):  # the server was restarted
            client.script_load(script)
            answer, waited = send(client, call)
    if isinstance(answer, Exception):
        raise answer
    if not waits:
        return answer, ""
    if isinstance(waited, Exception):  # the script's writes are there nevertheless
        return answer, str(waited)
    wanted, reached = waits[1:-1], waited if isinstance(waited, list) else [waited]
    if all(int(a) <= int(b) for a, b in zip(wanted, reached, strict=True)):
        return answer, ""
    return answer, f"not within {WAIT_MILLISECONDS / 1_000:g} s"


def send(client: Any, call: Sequence[Argument], waits: Sequence[Argument] = ()) -> tuple[Any, Any]:
    """Returns answers, or errors in their places: raised errors would contain the arguments."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.execute_command(*call)
        if waits:
            pipeline.execute_command(*waits)
        answers = pipeline.execute(raise_on_error=False)
    return answers[0], answers[1] if waits else None


def patiently(work: Callable[[], Result], seconds: float, announce: bool = False) -> Result:
    """Retries with increasing pauses while Redis is away.

    Args:
        announce: logs once that it is waiting, and advises at the end; of a process that starts.

    Raises:
        LogAwayError: it was away for the whole time.
    """
    until, pause, announced = monotonic() + seconds, FIRST_PAUSE, False
    while True:
        try:
            return work()
        except LogAwayError as error:
            away = str(error).partition("; the graph")[0]
            if monotonic() + pause > until:
                if not announce:
                    raise
                tried = f"{away}, after {seconds:g} s"
                raise LogAwayError(f"{tried}: start it, or correct --log") from error
            if announce and not announced:
                logger.warning("%s: waiting for it up to %g s", away, seconds)
                announced = True
        sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def turn(server: Server, key: str, process: str) -> Iterator[bool]:
    """Tries to reserve a key for a process until the block ends; yields whether it succeeded.

    The reservation expires after some minutes.

    Args:
        server: used by this block only.

    Raises:
        JournalError: Redis does not answer.
    """
    with closing(server):
        mine = bool(server.ask(lambda c: c.set(key, process, nx=True, px=TURN_MILLISECONDS)))
        try:
            yield mine
        finally:
            if mine:
                try:
                    server.ask(lambda client: client.delete(key))
                except JournalError as error:
                    logger.info("a turn could not be given back and expires by itself: %s", error)
