"""Writes graph and activations to disk, as a bundle without networks."""

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from understudy.bundle import Bundle, GraphInfo, Manifest, write_bundle
from understudy.bundle.reader import MANIFEST
from understudy.bundle.student import LOGITS_FILE, activation_file
from understudy.engine.errors import InferenceError, JournalFailedError, NotReadyError
from understudy.engine.state import GRAPH_FOLDER, GraphState, owed_file
from understudy.engine.updates.writer import Writer
from understudy.folders import check_space
from understudy.folders.errors import FolderError
from understudy.graph.arrays import save_array, save_parts
from understudy.graph.errors import JournalDamagedError, JournalError
from understudy.graph.log.about import ADVICE
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.snapshot import FILES as SNAPSHOT_FILES
from understudy.graph.snapshot import save_snapshot
from understudy.graph.text_graph import TextGraph

logger = logging.getLogger(__name__)

PREFIX = "snapshot-"
# Only snapshots and their unfinished folders are ever removed from a data folder.
WHOLE_NAME = re.compile(r"snapshot-(0|[1-9][0-9]*)")
UNFINISHED_NAME = re.compile(r"\.snapshot-(0|[1-9][0-9]*)\.(writing-)?[a-z0-9_]{8}")
PARTS = {MANIFEST, GRAPH_FOLDER, Path(LOGITS_FILE).parts[0]}
UNFINISHED_PARTS = PARTS | {"lock", "new", "whole", "placing", "old"}
BYTES_KEPT = 2**28  # bytes of a log, however small the graph is
ROWS_A_STEP = 65_536  # 64 MiB at width 256 and float32


class Snapshots:
    """The snapshots of one engine; only one process of a log writes and removes them at a time."""

    def __init__(self, data: Path, manifest: Manifest, writer: Writer) -> None:
        """Starts with the existing snapshots.

        Args:
            data: the folder of the journal and the snapshots.
            manifest: of the bundle that the graph belongs to.
        """
        self.data = data
        self.manifest = manifest
        self.writer = writer
        self.lock = Lock()  # one snapshot at a time: each removes all others
        self.closed = False

    def write(self) -> None:
        """Writes the newest version, unless that is done, and makes the log start after it.

        Raises:
            JournalFailedError: it cannot be written, the engine is closed, a mapped file was
                overwritten, or another process needs the records; the log stays as it is.
        """
        with self.lock:
            if self.closed:
                raise JournalFailedError("the engine is closed")
            try:
                with self.writer.log.keeping() as mine:
                    if mine:
                        self.write_newest()
                    else:
                        logger.info("another process is writing a snapshot, so this one does not")
            except (OSError, FolderError, JournalError, InferenceError, NotReadyError) as error:
                raise JournalFailedError(f"the snapshot could not be written: {error}") from error

    def write_newest(self) -> None:
        """Writes a snapshot of the newest version, if missing; called by one process at a time."""
        start = self.writer.log_start()
        state, owed, keys = self.writer.moment()
        if state.version <= start:
            return  # writing it again would remove the snapshot that the log needs
        self.writer.check_free(state.version)  # first, to avoid a useless write
        self.writer.originals.check()
        name = write_snapshot(self.data, self.manifest, state, owed)
        try:
            self.writer.originals.check()  # again, because it read the files meanwhile
            self.writer.truncate(state.version, name, keys)
        except (JournalError, NotReadyError):
            self.take_back(name)
            raise
        remove_snapshots(self.data, name, state.version)

    def take_back(self, name: str) -> None:
        """Removes a snapshot, unless the log starts from it after all.

        Raises:
            JournalError: the log cannot be read; the snapshot stays, since it may be needed.
        """
        self.writer.log_start()
        if self.writer.log.snapshot != name:
            remove_folder(self.data / name)

    def close(self) -> None:
        """Waits for a running snapshot; prevents further ones."""
        with self.lock:
            self.closed = True
            self.writer.close()


def is_long(writer: Writer, records: int) -> bool:
    """Whether a log has more records than given, or more bytes than a snapshot's activations.

    Raises:
        JournalError: the log cannot be read.
    """
    number, size = writer.log_size()
    table_bytes = sum(table.memory_bytes for table in writer.state.tables.layers)
    return number > records or size > max(BYTES_KEPT, table_bytes)


def write_snapshot(
    data: Path, manifest: Manifest, state: GraphState, owed: Sequence[NDArray[np.float32]]
) -> str:
    """Writes a state into a new folder, synced to disk on return.

    Other threads may read and write the graph meanwhile.

    Args:
        manifest: of the bundle that the graph belongs to.
        owed: of the same version, see `Incremental.owed_now`.

    Returns:
        The folder's name in `data`.

    Raises:
        OSError, FolderError: it cannot be written; nothing is left of it.
    """
    name = snapshot_name(state.version)
    graph = to_text_graph(state.graph)
    check_space(data / name, least_bytes(graph, state))
    info = GraphInfo(
        graph.name,
        graph.content_hash,
        graph.num_nodes,
        graph.adjacency.num_edges,
        manifest.graph.lineage,
        state.version,
        manifest.graph.texts,
        manifest.graph.neighbors,
    )
    rows = state.graph.live_rows()

    def fill(folder: Path) -> Manifest:
        (folder / GRAPH_FOLDER).mkdir()
        save_snapshot(graph, folder / GRAPH_FOLDER)
        (folder / LOGITS_FILE).parent.mkdir()
        for number, table in enumerate(state.tables.activations):
            taken = partial(state.activations, number)
            save_rows(folder / activation_file(number), taken, rows, table.width)
            save_array(folder / owed_file(number), owed[number][rows])
        save_rows(folder / LOGITS_FILE, state.logits, rows, state.tables.logits.width)
        return replace(manifest, graph=info, files={}, activations_of=manifest.version)

    write_bundle(data / name, fill)
    return name


def least_bytes(graph: TextGraph, state: GraphState) -> int:
    """Estimates the bytes of a snapshot without its small files.

    Checked first, so that repeated attempts do not fill the disk that also holds the log.
    """
    edges = graph.adjacency
    whole = graph.texts.nbytes + graph.ids.nbytes + edges.indptr.nbytes + edges.indices.nbytes
    widths = sum(table.width for table in state.tables.layers)
    return int(whole) + graph.num_nodes * widths * np.dtype(np.float32).itemsize


def snapshot_name(number: int) -> str:
    """Names the folder of the graph at a version."""
    return f"{PREFIX}{number}"


def copy_graph(bundle: Bundle, folder: Path) -> None:
    """Copies a bundle's graph into a new folder, without activations.

    Raises:
        OSError, FolderError: it cannot be written; nothing is left of it.
    """

    def fill(target: Path) -> Manifest:
        (target / GRAPH_FOLDER).mkdir()
        for name in SNAPSHOT_FILES:
            shutil.copyfile(bundle.path(f"{GRAPH_FOLDER}/{name}"), target / GRAPH_FOLDER / name)
        return replace(bundle.manifest, files={})

    write_bundle(folder, fill)


def save_rows(
    path: Path,
    take: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    rows: NDArray[np.int64],
    width: int,
) -> None:
    """Writes what `take` returns for the rows, float32 [B, width], in steps."""
    starts = range(0, len(rows), ROWS_A_STEP)
    parts = (take(rows[start : start + ROWS_A_STEP]) for start in starts)
    save_parts(path, (len(rows), width), np.dtype(np.float32), parts)


def check_snapshots(data: Path, number: int) -> None:
    """Refuses a journal that is older than a snapshot: a snapshot holds only logged changes.

    Args:
        number: of the journal's last record.

    Raises:
        JournalDamagedError: the journal is an older or a foreign one, or replaces a lost one.
            Serving it would lose changes that the snapshot holds.
    """
    for path, version in named(data, WHOLE_NAME):
        if version > number and (path / MANIFEST).is_file():
            raise JournalDamagedError(
                f"{path} holds {version:,} changes, but the journal beside it holds {number:,}; "
                f"{ADVICE}"
            )


def check_never_begun(data: Path, journal: Path) -> None:
    """Refuses to begin a journal beside a snapshot, which is written only once there is one.

    Another process may begin it meanwhile.

    Raises:
        JournalDamagedError: the journal was lost, or its restoration did not finish.
    """
    for path, _ in named(data, WHOLE_NAME):
        if (path / MANIFEST).is_file() and not journal.exists():
            raise JournalDamagedError(f"{journal} is missing, although {path} is there; {ADVICE}")


def remove_snapshots(data: Path, kept: str, number: int) -> None:
    """Removes snapshots that the journal no longer needs, and leftovers of interrupted ones.

    Args:
        kept: name of the snapshot that the journal starts from.
        number: snapshots up to this version are removed; the journal and the kept one include them.
    """
    whole = ours(data, WHOLE_NAME, PARTS)
    for path, version in [*whole, *ours(data, UNFINISHED_NAME, UNFINISHED_PARTS)]:
        if path.name != kept and version <= number:
            remove_folder(path)


def remove_folder(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except OSError as error:
        logger.warning("%s is no longer needed but cannot be removed: %s", path, error)


def ours(data: Path, form: re.Pattern[str], parts: set[str]) -> Iterator[tuple[Path, int]]:
    """Yields folders with a snapshot's name that hold only what snapshots hold."""
    for path, version in named(data, form):
        with suppress(PermissionError):  # the folder belongs to another user
            if {entry.name for entry in path.iterdir()} <= parts:
                yield path, version


def named(data: Path, form: re.Pattern[str]) -> Iterator[tuple[Path, int]]:
    """Yields folders (no links) whose name has exactly that form, with their version."""
    for path in sorted(data.iterdir()) if data.is_dir() else ():
        match = form.fullmatch(path.name)
        if match is not None and path.is_dir() and not path.is_symlink():
            yield path, int(match[1])
