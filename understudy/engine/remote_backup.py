"""Backups in a store, by URL: the files of a backup's folder, backup.json last."""

import tempfile
from pathlib import Path

from understudy.bundle.reader import folder_digests
from understudy.engine.backup import Backup, compare, make_backup, parse_backup, restore_backup
from understudy.engine.errors import BackupError
from understudy.engine.remote import RemoteFolder, names_outside
from understudy.folders.kinds import BACKUP


def is_url(text: str) -> bool:
    return "://" in text


def store_backup(data: Path, url: str, force: bool = False) -> Backup:
    """Copies a data folder to a new place in a store, through a temporary folder.

    An older backup is never replaced: until the new one is complete there would be none.

    Raises:
        BackupError: the place holds a backup already, or `force` is given, which has no effect
            here; see `make_backup` for others.
        SnapshotStoreError: the store cannot be reached or written; without backup.json the place
            does not count as a backup.
    """
    if force:
        raise BackupError("--force works only for folders: a backup in a store is never replaced")
    place = RemoteFolder(url, "OUT")
    if has_marker(place):
        raise BackupError(
            f"{place.where} already holds a backup; choose another place for this one"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "backup"
        made = make_backup(data, folder)
        text = (folder / BACKUP.marker).read_bytes()
        place.send(folder, made.files, place.root, BACKUP.marker, text)
    return made


def restore_stored(url: str, data: Path) -> Backup:
    """Restores a backup from a store into a data folder; see `restore_backup`.

    Raises:
        BackupError: there is no backup, or it is damaged; or the data folder is in use.
        SnapshotStoreError: the store cannot be reached or read.
    """
    place = RemoteFolder(url, "BACKUP")
    if not has_marker(place):
        raise BackupError(
            f"{place.where} does not contain {BACKUP.marker}, so it is not a complete backup"
        )
    with place.reaching("read"):
        text: bytes = place.files.cat_file(f"{place.root}/{BACKUP.marker}")
    backup = parse_backup(text, f"{place.where}: {BACKUP.marker}")
    if outside := names_outside(backup.files):
        raise BackupError(f"{place.where} is damaged: {BACKUP.marker} names {outside[0]}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place.fetch(place.root, backup.files, folder)
        compare(place.where, folder_digests(folder), backup.files)
        (folder / BACKUP.marker).write_bytes(text)
        return restore_backup(folder, data)


def has_marker(place: RemoteFolder) -> bool:
    with place.reaching("read"):
        place.check_bucket()
        return bool(place.files.exists(f"{place.root}/{BACKUP.marker}"))
