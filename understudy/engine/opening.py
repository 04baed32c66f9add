"""Opens a bundle's folder and a data folder as the parts of an engine."""

import logging
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from understudy.bundle import Bundle, BundleMissingError, Manifest, open_bundle
from understudy.engine.beginnings import (
    began_with,
    computed_from,
    followed,
    keep_base,
    open_base,
    open_snapshot,
    verified,
)
from understudy.engine.errors import BundleForeignError, LogUnavailableError, NotReadyError
from understudy.engine.full_run import compute_tables
from understudy.engine.originals import Originals
from understudy.engine.placing import JOURNAL_FILE, refuse_backup
from understudy.engine.shared_log import check_local, open_known_redis_log, open_redis_log
from understudy.engine.snapshots import (
    check_never_begun,
    check_snapshots,
    remove_snapshots,
    snapshot_name,
)
from understudy.engine.state import (
    Tables,
    has_activations,
    open_graph,
    open_owed,
    open_tables,
)
from understudy.engine.student import Student, load_student
from understudy.engine.updates.affected import Incremental, go_on
from understudy.engine.updates.writer import Writer
from understudy.graph.building.reading import reading_of
from understudy.graph.errors import JournalError
from understudy.graph.lineage import Lineage
from understudy.graph.log.about import SHOWN
from understudy.graph.log.files import reading_files
from understudy.graph.log.keys import Keys
from understudy.graph.log.memory import MemoryLog
from understudy.graph.log.protocol import Log
from understudy.graph.log.sqlite import SqliteLog
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.differences import become
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.store import GraphStore
from understudy.graph.mutable.view import GraphView
from understudy.graph.text_graph import TextGraph
from understudy.progress import Progress, silent, step

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opening:
    """Options of opening a bundle.

    Attributes:
        threads: per inference
        provider: cpu or cuda
        progress: called while activations are computed
    """

    threads: int = 1
    provider: str = "cpu"
    progress: Progress = silent


Parts = tuple[Manifest, Writer, Student]


def open_parts(
    folder: Path,
    opening: Opening,
    data: Path | None,
    redis: RedisLogOptions | None = None,
) -> Parts:
    """Opens all parts of an engine; see `Engine.open`."""
    bundle = open_bundle(folder, verify=False)
    if data is None:
        alone = MemoryLog(bundle.manifest.graph.position)
        with verified(bundle):
            return assemble(bundle, bundle, alone, opening)
    log: Log
    if redis is None:
        log = open_log(data, bundle.manifest)
    else:
        log = open_redis_log(redis, data, bundle.manifest.graph, data / JOURNAL_FILE)
    try:
        base = open_base(data, log, bundle)
        with verified(bundle, base):
            if computed_from(base, bundle, log):
                parts = assemble(bundle, base, log, opening)
            else:
                now = followed(base, log)
                parts = assemble_at(bundle, now.state.graph, log, now.keys, opening)
        parts[1].follow()  # after verification: from here on others may remove the snapshot
        with log.keeping() as mine:
            if mine:  # otherwise another process is writing a snapshot, and tidies up afterwards
                tidy_snapshots(data, parts[1])
                keep_base(data, log, base)
    except BaseException:
        log.close()
        raise
    return parts


def open_heir(folder: Path, before: Writer, lineage: str, opening: Opening) -> Parts:
    """Opens the parts of an engine that will replace another one, which keeps running.

    Args:
        before: the writer of the other engine, to be handed over.
        lineage: of its graph.

    Raises:
        BundleForeignError: the bundle is of another graph.
        NotReadyError: the other engine's graph files were overwritten, or it was closed meanwhile.
    """
    bundle = open_bundle(folder, verify=False)
    check_lineage(bundle.manifest, lineage)
    opening = replace(opening, progress=while_open(before, opening.progress))
    log = before.log.again()  # before the state is taken, so that no later batch is missed
    try:
        with verified(bundle):
            state, _, keys = before.moment()
            parts = assemble_at(bundle, state.graph, log, keys, opening)
            before.originals.check_graph()  # after the graph was read
            return parts
    except BaseException:
        log.close()
        raise


def while_open(before: Writer, progress: Progress) -> Progress:
    """Wraps `progress` to raise NotReadyError once the engine to be replaced is closed.

    Otherwise a process that ends would wait for the opening, minutes for a large graph.
    """

    def report(stage: str, done: int, total: int) -> None:
        if before.closed:
            raise NotReadyError("the served engine was closed in the meantime")
        progress(stage, done, total)

    return report


def check_lineage(manifest: Manifest, lineage: str) -> None:
    found = manifest.graph.lineage
    if found != lineage:
        raise BundleForeignError(
            f"the bundle {manifest.name} is of the graph {found[:SHOWN]}, but the served graph is "
            f"{lineage[:SHOWN]}; get the served graph with `understudy data from-service` and "
            "export a student of it"
        )


def tidy_snapshots(data: Path, writer: Writer) -> None:
    """Compares the snapshots with the log, and removes those it no longer needs."""
    log = writer.log
    try:
        writer.follow()
    except LogUnavailableError as error:
        logger.warning("old snapshots could not be removed: %s", error)
        return
    log.refresh()
    with reading_files(data):
        check_snapshots(data, log.number)
        remove_snapshots(data, log.snapshot or snapshot_name(log.start), log.number)


def open_log(data: Path, manifest: Manifest) -> SqliteLog:
    """Opens the data folder's log; creates one only if there is no snapshot of an earlier one.

    Args:
        manifest: of the bundle whose graph the log starts from.
    """
    path = data / JOURNAL_FILE
    graph = manifest.graph
    with reading_files(path):
        check_local(data)
        if not path.exists():
            check_never_begun(data, path)
    return SqliteLog(path, graph.lineage, manifest.version, graph.position)


def assemble(bundle: Bundle, base: Bundle, log: Log, opening: Opening) -> Parts:
    """Joins a bundle's networks with the graph of the bundle or of a snapshot."""
    if not has_activations(base):
        base = bundle  # its graph is the same
    originals = Originals(base)
    store = GraphStore(open_graph(base), log.start)
    store.view.parts.vocabulary.add(bundle.manifest.label_names)
    student = load_student(bundle, opening.threads, opening.provider)
    tables = tables_of(base, student, store, opening)
    incremental = Incremental(student, tables, open_owed(base))
    writer = Writer(store, tables, incremental, log, originals=originals)
    return bundle.manifest, writer, student


def assemble_at(bundle: Bundle, graph: GraphView, log: Log, keys: Keys, opening: Opening) -> Parts:
    """Joins a bundle's networks with a later or earlier graph of its lineage.

    The bundle's activations are used where the graphs agree; the others are computed.

    Args:
        graph: the graph to serve, at a position that the log holds.
        keys: idempotency keys at that position.

    Raises:
        InferenceError: the networks failed.
    """
    originals = Originals(bundle)
    store = GraphStore(open_graph(bundle), graph.version.number)
    student = load_student(bundle, opening.threads, opening.provider)
    tables = tables_of(bundle, student, store, opening)
    incremental = Incremental(student, tables, open_owed(bundle))
    writer = Writer(store, tables, incremental, log, keys, originals)
    draft = store.draft()
    following = "Following the graph"
    with step(opening.progress, following):
        become(draft, to_text_graph(graph))
        incremental.between = partial(opening.progress, following, 0, 1)
        try:
            writer.change(draft, 0)
        finally:
            incremental.between = go_on
    return bundle.manifest, writer, student


def tables_of(bundle: Bundle, student: Student, store: GraphStore, opening: Opening) -> Tables:
    if has_activations(bundle):
        return open_tables(bundle)
    return compute_tables(student, store.view, opening.progress)


def stored_graph(data: Path, bundle: Path | None, redis: str = "") -> TextGraph:
    """Reads the graph of a data folder, without opening a network.

    Args:
        bundle: the bundle that the folder's changes start from; None if the folder has a snapshot.
        redis: URL of the log; "" if the log is a file in the folder.

    Raises:
        BundleMissingError: the folder has no snapshot and no bundle is given; or the bundle does
            not exist.
        JournalForeignError: the folder is of another graph, or of an older release.
        JournalError: there is no log, or it cannot be read.
        JournalFailedError: the log does not fit the graph.
        BackupError: the folder is a backup.
    """
    opened = None if bundle is None else open_bundle(bundle, verify=False)
    log, lineage = stored_log(data, opened, redis)
    with closing(log):
        if opened is not None:
            base = open_base(data, log, opened)
        elif log.snapshot or (data / snapshot_name(log.start)).is_dir():
            base = open_snapshot(data, log.snapshot or snapshot_name(log.start))
        else:
            raise BundleMissingError(
                f"{data} lacks the graph that its changes were made to, which is that of the "
                f"bundle{began_with(log)}; give that bundle with --bundle"
            )
        with verified(base):
            graph = to_text_graph(followed(base, log).state.graph)
        reading = reading_of(base.manifest.graph.texts, base.manifest.graph.neighbors)
        return replace(graph, lineage=Lineage(lineage, log.number), reading=reading)


def stored_log(data: Path, bundle: Bundle | None, redis: str) -> tuple[Log, str]:
    """Opens the log of an existing data folder; returns it with the lineage of its graph."""
    path = data / JOURNAL_FILE
    refuse_backup(data)
    if redis:
        return open_known_redis_log(redis, data)
    if not path.is_file():
        raise JournalError(
            f"{data} is not the data folder of a service: it does not contain {JOURNAL_FILE}; if "
            "the log is in Redis, give its URL with --log, or give the address of the service"
        )
    manifest = None if bundle is None else bundle.manifest
    lineage, version = ("", "") if manifest is None else (manifest.graph.lineage, manifest.version)
    log = SqliteLog(path, lineage, version)
    return log, log.about.lineage
