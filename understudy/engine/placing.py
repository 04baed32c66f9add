"""Where a data folder may lie: beside bundles, backups and other data folders, not in or around."""

from os.path import lexists, realpath
from pathlib import Path

from understudy.engine.errors import BackupError, InvalidArgumentError
from understudy.folders.inspection import lies_in, same
from understudy.folders.kinds import BACKUP, marked
from understudy.graph.log.streams.base import BASE_FILE

JOURNAL_FILE = "journal.sqlite"


def check_apart(folder: Path, data: Path) -> None:
    """Refuses a data folder that would be moved, removed or copied together with another folder.

    Args:
        folder: of the bundle.

    Raises:
        InvalidArgumentError: it is or lies in the bundle or contains it, it lies in a backup or in
            another data folder, or it would be one around them.
        BackupError: it is a backup.
    """
    bundle, changes = Path(realpath(folder)), Path(realpath(data))
    outer = data_folder_around(changes)
    if same(bundle, changes):
        where = "is the bundle's own folder"
    elif lies_in(changes, bundle):
        where = f"is inside the bundle {folder}, and would be deleted when the bundle is replaced"
    elif lies_in(bundle, changes):
        where = f"contains the bundle {folder}, but a data folder is only for changes of the graph"
    elif outer is not None:
        where = f"is inside {outer}, which is the data folder of another graph or log, or a backup"
    elif (inner := data_folder_within(changes)) is not None:
        where = f"contains {inner}, which is a data folder or a backup"
    else:
        refuse_backup(data)
        return
    raise InvalidArgumentError(f"the data folder {data} {where}; name a folder beside the bundle")


def refuse_backup(data: Path) -> None:
    """Refuses a backup as a data folder: opening its log would change the file.

    Raises:
        BackupError: it is a backup.
    """
    if marked(data, BACKUP) is not None:
        raise BackupError(
            f"{data} is a backup, which would be damaged by its use as a data folder: copy it with "
            f"`understudy restore {data} DATA_FOLDER`, and give that folder"
        )


def data_folder_around(place: Path) -> Path | None:
    """The data folder, or backup of one, in which a place lies; None if it lies in none."""
    for folder in place.parents:
        if is_used(folder):
            return folder
    return None


def data_folder_within(place: Path) -> Path | None:
    """A data folder, or backup of one, right below a place that is none itself; None if not.

    Once the place is a data folder, too, the inner one is refused for lying in it.
    """
    if is_used(place):
        return None
    inner = (file.parent for name in (JOURNAL_FILE, BASE_FILE) for file in place.glob(f"*/{name}"))
    return min(inner, default=None)


def is_used(folder: Path) -> bool:
    """Whether a log, or the snapshots of one in Redis, are in a folder."""
    return lexists(folder / JOURNAL_FILE) or lexists(folder / BASE_FILE)
