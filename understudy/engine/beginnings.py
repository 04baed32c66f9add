"""The graph that a log starts from, and the graph that it leads to; runs no network."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from understudy.bundle import (
    Bundle,
    BundleError,
    BundleMissingError,
    Manifest,
    open_bundle,
)
from understudy.bundle.reader import MANIFEST, verify_digests
from understudy.bundle.student import WHOLE_FILE
from understudy.engine.snapshots import WHOLE_NAME, copy_graph, snapshot_name
from understudy.engine.state import GRAPH_FOLDER, Tables, has_activations, open_graph
from understudy.engine.updates.replica import NothingComputed, Replica
from understudy.engine.updates.tickets import failure_of
from understudy.folders.errors import FolderError
from understudy.graph.errors import JournalError
from understudy.graph.log.protocol import Log, pieces
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutable.versions import VersionedTable
from understudy.graph.snapshot import FILES as SNAPSHOT_FILES

logger = logging.getLogger(__name__)

UNREAD = (WHOLE_FILE,)  # for other runtimes; the engine does not read it
ADVICE = (
    "the journal beside it continues from this snapshot: replace it with a copy from a backup "
    "(`understudy restore`) or from another replica, or choose another --data-folder to start "
    "again with the bundle's graph"
)


def open_base(data: Path, log: Log, bundle: Bundle) -> Bundle:
    """Opens the graph that the log starts from: a snapshot, or the bundle's graph.

    Raises:
        BundleMissingError: the data folder lacks it, and the bundle is of another position.
    """
    if log.snapshot:
        return open_snapshot(data, log.snapshot)
    if (data / snapshot_name(log.start) / MANIFEST).is_file():
        return open_snapshot(data, snapshot_name(log.start))
    if bundle.manifest.graph.position != log.start:
        raise BundleMissingError(
            f"{data} lacks the graph that its changes were made to, and the bundle's graph is "
            f"{bundle.manifest.graph.position - log.start:,} changes newer; start the service once "
            f"with the first bundle{began_with(log)}{beginning_elsewhere(log)}"
        )
    return bundle


def beginning_elsewhere(log: Log) -> str:
    """Where else the graph may be: a log in Redis has replicas, each with a folder of its own."""
    if isinstance(log, SqliteLog):
        return ""
    return ", or copy another replica's data folder, or name the replicas' store with --snapshots"


def began_with(log: Log) -> str:
    return f" ({log.about.bundle})" if isinstance(log, SqliteLog) and log.about.bundle else ""


def keep_base(data: Path, log: Log, base: Bundle) -> None:
    """Copies the graph that a log starts from into the data folder, to be independent of a bundle.

    Must be called only by the process that is in charge of the snapshots.
    """
    name = snapshot_name(log.start)
    if log.snapshot or (data / name / MANIFEST).is_file():
        return
    try:
        copy_graph(base, data / name)
    except (OSError, FolderError) as error:
        logger.warning(
            "the graph cannot be stored in %s, so until the first snapshot the service cannot "
            "start there with a bundle of a newer graph: %s",
            data,
            error,
        )


def computed_from(base: Bundle, bundle: Bundle, log: Log) -> bool:
    """Whether there are activations of this bundle that the log can be applied to."""
    if base is bundle:
        return True
    own = base.manifest.activations_of
    if has_activations(base):
        if not own and isinstance(log, SqliteLog):  # older releases did not record the bundle
            own = log.about.bundle
        return own == bundle.manifest.version
    return same_graph(base.manifest, bundle.manifest)


def same_graph(one: Manifest, other: Manifest) -> bool:
    names = [f"{GRAPH_FOLDER}/{name}" for name in SNAPSHOT_FILES]
    return [one.files.get(name) for name in names] == [other.files.get(name) for name in names]


def open_snapshot(data: Path, name: str) -> Bundle:
    """Opens the snapshot of that name.

    Raises:
        BundleMissingError, BundleDamagedError, BundleFormatError: it is missing or incomplete.
    """
    with advising():
        if not (data / name).is_dir():
            raise BundleMissingError(f"{data / name} is missing")
        return open_bundle(data / name, verify=False)


@contextmanager
def advising() -> Iterator[None]:
    """Adds advice to errors of a snapshot, which no export can make again."""
    try:
        yield
    except BundleError as error:
        problem = str(error).partition("; ")[0]
        raise type(error)(f"{problem}; {ADVICE}") from error


def verify(bundle: Bundle) -> None:
    """Compares a bundle's files with their digests.

    Raises:
        BundleDamagedError: a file differs.
    """
    with advising() if WHOLE_NAME.fullmatch(bundle.folder.name) else nullcontext():
        verify_digests(bundle, UNREAD)


def followed(base: Bundle, log: Log) -> Replica:
    """Applies the whole log to a graph and its keys, without computing activations.

    Raises:
        JournalFailedError: the log cannot be read, or does not fit the graph.
    """
    nothing = Tables((), VersionedTable(np.empty((0, 0), np.float32)))
    store = GraphStore(open_graph(base), log.start)
    replica = Replica(store, nothing, NothingComputed(), log)
    try:
        for records in pieces(log, log.start):
            replica.apply_records(records)
    except JournalError as error:
        raise failure_of(error) from error
    return replica


@contextmanager
def verified(*bundles: Bundle) -> Iterator[None]:
    """Compares digests in parallel with the block, which fails at its end if a file differs.

    Raises:
        BundleDamagedError: a file differs, or a bundle was replaced meanwhile; takes the place of
            any error of the block.
    """
    with ThreadPoolExecutor(1, "digests") as pool:
        distinct = {bundle.folder: bundle for bundle in bundles}
        checks = [pool.submit(verify, bundle) for bundle in distinct.values()]
        try:
            yield
        finally:
            wait(checks)
            for bundle in distinct.values():
                bundle.check_unmoved()  # first, because it explains all else
            for check in checks:
                check.result()
