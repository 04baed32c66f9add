"""One way to replace a folder that a command writes; every room that writes one uses it."""

from folders.atomic import atomic_folder, reserved
from folders.errors import (
    FolderError,
    OutputBusyError,
    OutputRefusedError,
    OutputUnwritableError,
)
from folders.output import check_output, check_space
from folders.workplace import unfinished_folder

__all__ = [
    "FolderError",
    "OutputBusyError",
    "OutputRefusedError",
    "OutputUnwritableError",
    "atomic_folder",
    "check_output",
    "check_space",
    "reserved",
    "unfinished_folder",
]
