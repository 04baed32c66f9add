"""A consistent copy of a data folder, taken while it is in use, and its restoration.

The newest snapshot, and the log that goes on from it, as of one moment; services may run and change
the graph. A backup does not hold the bundle.
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
from understudy.engine.opening import JOURNAL_FILE
from understudy.engine.snapshots import WHOLE_NAME, named, snapshot_name
from understudy.folders import atomic_folder, check_output
from understudy.folders.durable import flush
from understudy.folders.inspection import refuse_inputs
from understudy.folders.kinds import BACKUP, kind_of
from understudy.folders.places import real_place
from understudy.graph.log.about import About
from understudy.graph.log.copying import copy_log, kept_whole
from understudy.graph.log.files import put_in_place, reading_files
from understudy.graph.log.followers import Followers
from understudy.graph.log.opening import check_no_traces

FORMAT = 1


class Backup(Struct, frozen=True):
    """What backup.json says.

    Attributes:
        made: when, UTC.
        bundle: that the log belongs to, as the log names it.
        graph_version: of the last change in it.
        snapshot: name of the folder that holds what came before the log; "" for the bundle, where
            a release before lineages made the data folder.
        files: name → bytes and SHA-256, of all files beside backup.json.
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
    """Copies a data folder; what `out` held before is replaced once the copy is whole.

    Args:
        force: replace another kind of our folders, too.

    Raises:
        BackupError: there is no log in the folder.
        JournalError, BundleError: the log or the snapshot is damaged, or cannot be read.
        FolderError: `out` holds what is no backup of ours, or cannot be written.
    """
    journal = data / JOURNAL_FILE
    if not journal.is_file():
        raise BackupError(
            f"{data} holds no {JOURNAL_FILE}; name the folder that `understudy serve` was given "
            "as --data-folder"
        )
    check_output(out, BACKUP, [data], force)
    with atomic_folder(out) as aside, kept_whole(journal):
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
    """Name of the folder that the log goes on from; "" where that is the graph of its bundle."""
    base = snapshot_name(about.number)
    return about.snapshot or (base if (data / base / MANIFEST).is_file() else "")


def read_backup(folder: Path) -> Backup:
    """Reads backup.json.

    Raises:
        BackupError: it is not there, damaged, or of a newer release.
    """
    path = folder / BACKUP.marker
    try:
        return parse_backup(path.read_bytes(), str(path))
    except OSError as error:
        raise BackupError(
            f"{folder} is no backup: {path} cannot be read ({error.strerror}); make one with "
            "`understudy backup`"
        ) from error


def parse_backup(text: bytes, where: str) -> Backup:
    """What stands in a backup.json.

    Args:
        where: it was read, for messages.

    Raises:
        BackupError: it is damaged, or of a newer release.
    """
    try:
        backup = msgspec.json.decode(text, type=Backup)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BackupError(f"{where} is damaged: {error}") from error
    if backup.backup_format != FORMAT:
        raise BackupError(f"{where} has format {backup.backup_format}, this release reads {FORMAT}")
    if backup.snapshot and not WHOLE_NAME.fullmatch(backup.snapshot):
        raise BackupError(f"{where} is damaged: it names the snapshot {backup.snapshot!r}")
    return backup


def restore_backup(source: Path, data: Path) -> Backup:
    """Puts a backup where a service finds it; the log is the last part of it to appear there.

    Raises:
        BackupError: it is none, or damaged; or the data folder holds a log or a snapshot already,
            or lies in a bundle.
        JournalError: the folder cannot be written.
        FolderError: the same, or it lies in the backup.
    """
    backup = read_backup(source)
    journal = data / JOURNAL_FILE
    refuse_inputs(data, real_place(data), [source])
    refuse_within(data)
    with reading_files(journal):
        data.mkdir(parents=True, exist_ok=True)
        followers = Followers(journal)
        try:
            with followers.turn():  # a service that is started meanwhile waits
                refuse_used(data, backup.snapshot)
                place(source, data, backup)
        finally:
            followers.leave()
    return backup


def refuse_within(data: Path) -> None:
    """Sees that a folder is not, and does not lie in, what a command replaces as a whole.

    Raises:
        BackupError: it does.
    """
    place = real_place(data)
    for folder in (place, *place.parents):
        kind = kind_of(folder)
        if kind is not None and not kind.grows:
            how = "is" if folder == place else f"lies in {folder},"
            raise BackupError(
                f"{data} {how} a {kind.title}, and would go when another one takes its place; "
                "name a folder of its own"
            )


def refuse_used(data: Path, snapshot: str) -> None:
    """Sees that a folder holds no graph; a snapshot that an interrupted restore left may be there.

    Raises:
        BackupError: it holds one.
        JournalDamagedError: it held one.
    """
    journal = data / JOURNAL_FILE
    kept = [path for path, _ in named(data, WHOLE_NAME) if path.name != snapshot]
    if journal.exists() or kept:
        found = journal if journal.exists() else kept[0]
        raise BackupError(
            f"{data} holds changes already ({found.name}); restore into another folder, or move "
            "all that lies in it away"
        )
    check_no_traces(journal)


def place(source: Path, data: Path, backup: Backup) -> None:
    """Copies snapshot and log, compares the copies with their digests, and names them."""
    if backup.snapshot:
        with atomic_folder(data / backup.snapshot) as aside:
            shutil.copytree(source / backup.snapshot, aside, dirs_exist_ok=True)
            prefix = f"{backup.snapshot}/"
            compare(source, folder_digests(aside), within(backup.files, prefix))
    aside = data / f".{JOURNAL_FILE}.{uuid4().hex}"
    try:
        shutil.copyfile(source / JOURNAL_FILE, aside)
        found = FileInfo(aside.stat().st_size, mapped_digest(aside))
        compare(source, {JOURNAL_FILE: found}, within(backup.files, "", JOURNAL_FILE))
        flush(aside)
        put_in_place(aside, data / JOURNAL_FILE)
        flush(data)
    finally:
        aside.unlink(missing_ok=True)


def within(
    files: Mapping[str, FileInfo], prefix: str, only: str | None = None
) -> dict[str, FileInfo]:
    """The files below a folder, by their names in it; or one of them."""
    return {
        name.removeprefix(prefix): entry
        for name, entry in files.items()
        if name.startswith(prefix) and only in (None, name)
    }


def compare(
    source: Path | str, found: Mapping[str, FileInfo], expected: Mapping[str, FileInfo]
) -> None:
    """Sees that what was copied is what was backed up.

    Raises:
        BackupError: a file differs, is missing, or is too many.
    """
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise BackupError(
                f"{source} is damaged: {name} is not the file that {BACKUP.marker} lists; "
                "take another backup"
            )
