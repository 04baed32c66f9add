"""From a bundle's folder, and a data folder, to the parts of an engine."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from understudy.bundle import Bundle, BundleMissingError, Manifest, open_bundle
from understudy.bundle.reader import verify_digests
from understudy.bundle.student import WHOLE_FILE
from understudy.engine.errors import LogUnavailableError
from understudy.engine.full_run import compute_tables
from understudy.engine.shared_log import check_local, open_redis_log
from understudy.engine.snapshots import check_snapshots, remove_snapshots
from understudy.engine.state import has_activations, open_graph, open_owed, open_tables
from understudy.engine.student import Student, load_student
from understudy.engine.updates.affected import Incremental
from understudy.engine.updates.writer import Writer
from understudy.graph.log.files import reading_files
from understudy.graph.log.memory import MemoryLog
from understudy.graph.log.protocol import Log
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.progress import Progress
from understudy.graph.store import GraphStore

logger = logging.getLogger(__name__)

UNREAD = (WHOLE_FILE,)  # for other runtimes; nothing here reads it
JOURNAL_FILE = "journal.sqlite"


def open_parts(
    folder: Path,
    threads: int,
    provider: str,
    data: Path | None,
    progress: Progress,
    redis: RedisLogOptions | None = None,
) -> tuple[Manifest, Writer, Student]:
    """Opens everything; see `Engine.open`."""
    bundle = open_bundle(folder, verify=False)
    if data is None:
        with verified(bundle):
            return assemble(bundle, bundle, MemoryLog(), threads, provider, progress)
    log: Log
    if redis is None:
        log = open_log(data, bundle.manifest.version)
    else:
        log = open_redis_log(redis, data, bundle.manifest.version, data / JOURNAL_FILE)
    try:
        base = open_snapshot(data, log.snapshot) if log.snapshot else bundle
        with verified(bundle, base):
            parts = assemble(bundle, base, log, threads, provider, progress)
        parts[1].follow()  # not before: from then on others may remove the snapshot
        with log.keeping() as mine:
            if mine:  # else another process writes one at this moment, and tidies up after it
                tidy_snapshots(data, parts[1])
    except BaseException:
        log.close()
        raise
    return parts


def tidy_snapshots(data: Path, writer: Writer) -> None:
    """Compares the snapshots with the log, and removes what it needs no more."""
    log = writer.log
    try:
        writer.follow()
    except LogUnavailableError as error:
        logger.warning("old snapshots stay for now: %s", error)
        return
    log.refresh()
    with reading_files(data):
        check_snapshots(data, log.number)
        remove_snapshots(data, log.snapshot, log.number)


def open_log(data: Path, version: str) -> SqliteLog:
    """The data folder's log; a new one only where no snapshot tells of an older one.

    Args:
        version: of the bundle.
    """
    path = data / JOURNAL_FILE
    with reading_files(path):
        check_local(data)
        if not path.exists():
            check_snapshots(data, 0)
    return SqliteLog(path, version)


def open_snapshot(data: Path, name: str) -> Bundle:
    if not (data / name).is_dir():
        raise BundleMissingError(
            f"{data / name} is missing, from which the journal beside it goes on; put a copy in "
            f"its place, or give --data-folder another folder to begin again with the bundle's "
            "graph"
        )
    return open_bundle(data / name, verify=False)


@contextmanager
def verified(*bundles: Bundle) -> Iterator[None]:
    """Compares digests while the block runs; nobody gets past it with a file that differs.

    Raises:
        BundleDamagedError: a file differs, whatever else the block may have met because of it.
    """
    with ThreadPoolExecutor(1, "digests") as pool:
        distinct = {bundle.folder: bundle for bundle in bundles}
        checks = [pool.submit(verify_digests, bundle, UNREAD) for bundle in distinct.values()]
        try:
            yield
        finally:
            for check in checks:
                check.result()


def assemble(
    bundle: Bundle,
    base: Bundle,
    log: Log,
    threads: int,
    provider: str,
    progress: Progress,
) -> tuple[Manifest, Writer, Student]:
    """Joins a bundle's networks with the graph of the bundle or of a snapshot."""
    store = GraphStore(open_graph(base), log.start)
    student = load_student(bundle, threads, provider)
    if has_activations(base):
        tables = open_tables(base)
    else:
        tables = compute_tables(student, store.view, progress)
    incremental = Incremental(student, tables, open_owed(base))
    return bundle.manifest, Writer(store, tables, incremental, log), student
