"""Opens a log on another machine, together with a local data folder."""

from pathlib import Path
from typing import TYPE_CHECKING

from understudy.bundle import GraphInfo
from understudy.engine.snapshots import check_snapshots
from understudy.engine.stored import SnapshotStore
from understudy.graph.errors import JournalError, JournalForeignError
from understudy.graph.log.files import reading_files
from understudy.graph.log.protocol import Log
from understudy.graph.log.streams.base import BASE_FILE, BaseFolder
from understudy.graph.log.streams.options import RedisLogOptions

if TYPE_CHECKING:
    from understudy.graph.log.streams.log import RedisLog


def check_local(data: Path) -> None:
    """Refuses a folder whose log is in Redis.

    Raises:
        JournalForeignError: its log is in Redis.
    """
    if (data / BASE_FILE).exists():
        raise JournalForeignError(
            f"{data} belongs to a log in Redis: give its URL with --log, or choose another "
            "--data-folder"
        )


def open_redis_log(options: RedisLogOptions, data: Path, graph: GraphInfo, journal: Path) -> Log:
    """Opens the log in Redis; the folder holds its snapshots.

    Args:
        graph: whose changes the log holds, and where a new log starts.
        journal: path of a local log of the folder, if it had one.

    Raises:
        JournalForeignError: the folder has a local log.
        JournalError: see `RedisLog`; or the Redis client is not installed.
    """
    kind = redis_log()
    with reading_files(data):
        if journal.exists():
            raise JournalForeignError(
                f"{journal} is a log of its own; start without --log, or choose another "
                "--data-folder"
            )
        store = SnapshotStore(options.snapshots, graph.lineage, data) if options.snapshots else None
        if not (data / BASE_FILE).exists() and (store is None or store.newest_number() is None):
            check_snapshots(data, graph.position)
    return kind(options, graph.lineage, data, graph.position, store)


def open_known_redis_log(url: str, data: Path) -> tuple[Log, str]:
    """Opens the Redis log of a folder with a snapshot, for reading; and the graph's lineage.

    Raises:
        JournalError: the folder belongs to no log in Redis, or see `RedisLog`.
    """
    kind = redis_log()
    if not (data / BASE_FILE).is_file():
        raise JournalError(
            f"{data} is not the data folder of a service with its log in Redis: it does not "
            f"contain {BASE_FILE}"
        )
    with reading_files(data):
        folder = BaseFolder(data)
        base = folder.read()
        folder.started()
    assert base is not None
    log = kind(RedisLogOptions(url, allow_loss=True), base.graph, data)
    return log, base.graph


def redis_log() -> "type[RedisLog]":
    """Imports `RedisLog`, whose client is an optional dependency.

    Raises:
        JournalError: the client is not installed.
    """
    try:
        from understudy.graph.log.streams.log import RedisLog
    except ModuleNotFoundError as error:
        raise JournalError(
            "a log in Redis needs the package redis: pip install 'understudy-gnn[service]'"
        ) from error
    return RedisLog
