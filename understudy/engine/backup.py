"""Makes and restores a consistent copy of a data folder, while services use it.

A backup holds the newest snapshot and the log after it, as of one moment, but not the bundle.
"""

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import msgspec
from msgspec import Struct

from understudy.bundle import open_bundle
from understudy.bundle.manifest import FileInfo
from understudy.bundle.reader import MANIFEST, folder_digests, mapped_digest
from understudy.engine.beginnings import open_snapshot
from understudy.engine.errors import BackupError
from understudy.engine.placing import (
    JOURNAL_FILE,
    data_folder_around,
    data_folder_within,
    refuse_backup,
)
from understudy.engine.snapshots import WHOLE_NAME, named, snapshot_name
from understudy.folders import atomic_folder, check_output
from understudy.folders.durable import flush
from understudy.folders.inspection import refuse_inputs
from understudy.folders.kinds import BACKUP, kind_of
from understudy.folders.places import path_problem, real_place
from understudy.graph.log.about import About
from understudy.graph.log.copying import copy_log, kept_whole
from understudy.graph.log.files import put_in_place, reading_files
from understudy.graph.log.followers import Followers
from understudy.graph.log.opening import check_no_traces
from understudy.graph.log.streams.base import BASE_FILE

FORMAT = 1


class Backup(Struct, frozen=True):
    """The content of backup.json.

    Attributes:
        made: time, UTC.
        bundle: the bundle that the log belongs to, as named in the log.
        graph_version: of the last change in the backup.
        snapshot: name of the folder with the graph before the log; "" for the bundle's graph, if a
            release before lineages made the data folder.
        files: name → bytes and SHA-256, of all files except backup.json.
    """

    backup_format: int
    made: str
    bundle: str
    graph_version: int
    snapshot: str
    files: dict[str, FileInfo]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())


def make_backup(data: Path, out: Path, force: bool = False) -> Backup:
    """Copies a data folder; replaces an older backup in `out` once the copy is complete.

    Args:
        force: also replace another kind of understudy's folders.

    Raises:
        BackupError: the folder has no log, or its log is in Redis; or it is a backup itself, or a
            URL.
        JournalError, BundleError: the log or the snapshot is damaged, or cannot be read.
        FolderError: `out` holds something other than a backup, or cannot be written.
    """
    journal = data / JOURNAL_FILE
    if problem := path_problem(data):
        raise BackupError(problem)
    refuse_backup(data)
    if (data / BASE_FILE).exists():
        raise BackupError(
            f"the log of {data} is in Redis, and this folder holds only a snapshot: back up that "
            "Redis"
        )
    if not journal.is_file():
        raise BackupError(
            f"{data} does not contain {JOURNAL_FILE}; give the folder that `understudy serve` got "
            "as --data-folder"
        )
    check_output(out, BACKUP, [data], force)
    with kept_whole(journal), atomic_folder(out) as aside:  # so that each one's full disk is named
        about, number = copy_log(journal, aside / JOURNAL_FILE)
        name = beginning(data, about)
        if name:
            snapshot = open_snapshot(data, name)
            shutil.copytree(snapshot.folder, aside / name)
            open_bundle(aside / name)  # compares digests
        made = datetime.now(UTC).isoformat(timespec="seconds")
        files = folder_digests(aside)
        backup = Backup(FORMAT, made, about.bundle, number, name, files)
        text = json.dumps(msgspec.to_builtins(backup), indent=2)
        (aside / BACKUP.marker).write_text(text + "\n", encoding="utf-8")
    return backup


def beginning(data: Path, about: About) -> str:
    """Names the snapshot that the log starts from; "" if it is the graph of its bundle."""
    base = snapshot_name(about.number)
    return about.snapshot or (base if (data / base / MANIFEST).is_file() else "")


def read_backup(folder: Path) -> Backup:
    """Reads backup.json.

    Raises:
        BackupError: it is missing, damaged, or of a newer release.
    """
    path = folder / BACKUP.marker
    try:
        return parse_backup(path.read_bytes(), str(path))
    except OSError as error:
        raise BackupError(
            f"{folder} is not a backup: {path} cannot be read ({error.strerror}); make one with "
            "`understudy backup`"
        ) from error


def parse_backup(text: bytes, where: str) -> Backup:
    """Decodes the content of a backup.json.

    Args:
        where: its location, for messages.

    Raises:
        BackupError: it is damaged, or of a newer release.
    """
    try:
        backup = msgspec.json.decode(text, type=Backup)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{where} is damaged: {error}") from error
    if backup.backup_format != FORMAT:
        raise BackupError(
            f"{where} has format {backup.backup_format}, but this release reads only {FORMAT}"
        )
    if backup.snapshot and not WHOLE_NAME.fullmatch(backup.snapshot):
        raise BackupError(f"{where} is damaged: it names the invalid snapshot {backup.snapshot!r}")
    return backup


def restore_backup(source: Path, data: Path) -> Backup:
    """Copies a backup into a data folder; the log is placed last.

    Raises:
        BackupError: there is no backup or it is damaged; or the data folder already holds a log or
            a snapshot, or lies in a bundle or another data folder.
        JournalError: the folder cannot be written.
        FolderError: the folder cannot be written, or lies in the backup.
    """
    backup = read_backup(source)
    refuse_missing(source, backup)
    journal = data / JOURNAL_FILE
    refuse_inputs(data, real_place(data), [source])
    refuse_within(data)
    with reading_files(journal):
        data.mkdir(parents=True, exist_ok=True)
        followers = Followers(journal)
        try:
            with followers.turn():  # a service that starts meanwhile waits
                refuse_used(data, backup.snapshot)
                place(source, data, backup)
        finally:
            followers.leave()
    return backup


def refuse_missing(source: Path, backup: Backup) -> None:
    """Refuses a backup that lost a file, before anything is made for it.

    Raises:
        BackupError: a listed file, or one that every backup has, is missing.
    """
    needed = {*backup.files, JOURNAL_FILE}
    if backup.snapshot:
        needed.add(f"{backup.snapshot}/{MANIFEST}")
    for name in sorted(needed):
        if not (source / name).is_file():
            raise BackupError(f"{source} is damaged: {name} is missing; use another backup")


def refuse_within(data: Path) -> None:
    """Refuses a folder that is, or lies in, a folder that commands replace or use as a whole.

    Raises:
        BackupError: it is or lies in one, or would be a data folder around one.
    """
    place = real_place(data)
    for folder in (place, *place.parents):
        kind = kind_of(folder)
        if kind is not None and not kind.grows:
            how = "is" if folder == place else f"is inside {folder},"
            raise BackupError(
                f"{data} {how} a {kind.title}, and would be deleted when that is replaced; choose "
                "a folder used for nothing else"
            )
    if (outer := data_folder_around(place)) is not None:
        raise BackupError(
            f"{data} is inside {outer}, which is another data folder or a backup; choose a folder "
            "used for nothing else"
        )
    if (inner := data_folder_within(place)) is not None:
        raise BackupError(
            f"{data} contains {inner}, which is another data folder or a backup; choose a folder "
            "used for nothing else"
        )


def refuse_used(data: Path, snapshot: str) -> None:
    """Refuses a folder that holds a graph, except a snapshot left by an interrupted restore.

    Raises:
        BackupError: it holds a graph, or belongs to a log in Redis.
        JournalDamagedError: it held one before.
    """
    journal, elsewhere = data / JOURNAL_FILE, data / BASE_FILE
    if elsewhere.exists():
        raise BackupError(
            f"{data} belongs to a log in Redis ({elsewhere.name}); restore into another folder"
        )
    kept = [path for path, _ in named(data, WHOLE_NAME) if path.name != snapshot]
    if journal.exists() or kept:
        found = journal if journal.exists() else kept[0]
        raise BackupError(
            f"{data} already holds changes ({found.name}); restore into another folder, or move "
            "its contents away"
        )
    check_no_traces(journal)


def place(source: Path, data: Path, backup: Backup) -> None:
    """Copies snapshot and log, compares their digests, and moves them into place."""
    if backup.snapshot:
        with atomic_folder(data / backup.snapshot) as aside:
            shutil.copytree(source / backup.snapshot, aside, dirs_exist_ok=True)
            prefix = f"{backup.snapshot}/"
            found = {f"{prefix}{name}": entry for name, entry in folder_digests(aside).items()}
            listed = {n: entry for n, entry in backup.files.items() if n.startswith(prefix)}
            compare(source, found, listed)
    aside = data / f".{JOURNAL_FILE}.{uuid4().hex}"
    try:
        shutil.copyfile(source / JOURNAL_FILE, aside)
        log = FileInfo(aside.stat().st_size, mapped_digest(aside))
        compare(source, {JOURNAL_FILE: log}, {JOURNAL_FILE: backup.files.get(JOURNAL_FILE)})
        flush(aside)
        put_in_place(aside, data / JOURNAL_FILE)
        flush(data)
    finally:
        aside.unlink(missing_ok=True)


def compare(
    source: Path | str, found: Mapping[str, FileInfo], expected: Mapping[str, FileInfo | None]
) -> None:
    """Compares copied files with the backup's list, by their names in the backup.

    Raises:
        BackupError: a file differs, is missing, or is not listed.
    """
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise BackupError(
                f"{source} is damaged: {name} is not the file that {BACKUP.marker} lists; use "
                "another backup"
            )
