"""Safe replacement of the folders that commands write; used by every package that writes one."""

from understudy.folders.atomic import atomic_folder, reserved, unchanged
from understudy.folders.errors import (
    FolderChangedError,
    FolderError,
    OutputBusyError,
    OutputRefusedError,
    OutputUnwritableError,
)
from understudy.folders.output import check_output, check_space
from understudy.folders.turns import taking_turns
from understudy.folders.workplace import unfinished_folder

__all__ = [
    "FolderChangedError",
    "FolderError",
    "OutputBusyError",
    "OutputRefusedError",
    "OutputUnwritableError",
    "atomic_folder",
    "check_output",
    "check_space",
    "reserved",
    "taking_turns",
    "unchanged",
    "unfinished_folder",
]
