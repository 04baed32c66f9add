"""The place of an output, and whether it can be renamed or only filled."""

import hashlib
import os
import re
from pathlib import Path

from understudy.folders.errors import OutputUnwritableError, place_problem

LOST_AND_FOUND = "lost+found"  # at the root of a file system
MOUNTS = Path("/proc/self/mountinfo")
LONGEST_NAME = 200  # bytes of an output's name that derived names repeat; file systems allow 255

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # at least two letters: C:/ is a disk
# host:port; the host may be an IPv6 address in brackets.
ADDRESS = re.compile(r"(?:\[[\da-fA-F:.]+\]|[\w.-]+):\d+/?")


def path_problem(path: Path) -> str | None:
    """Why a path that is a URL, or that no shell has expanded, cannot be used, in a sentence that
    begins with it; None for other paths.
    """
    if path.parts[:1] == ("~",):
        return (
            f"{path} begins with ~, which a shell replaces by the home folder only at the start of "
            "a word, and Python not at all: write the whole path"
        )
    if not URL.match(str(path)):
        return None
    scheme, _, rest = str(path).partition(":/")  # a path keeps one slash of several
    return (
        f"{scheme}://{rest} is a URL, but every stage reads and writes folders on a disk: copy "
        "from or to the store, or mount it"
    )


def is_address(source: str) -> bool:
    """Whether a word is the address of a service, such as http://127.0.0.1:8000 or localhost:8000,
    and not a path on disk.
    """
    address = "://" in source or ADDRESS.fullmatch(source) is not None
    return address and not Path(source).exists()


def real_place(out: Path) -> Path:
    """The output's absolute path, with symbolic links resolved.

    Raises:
        OutputUnwritableError: the path is invalid, a URL, or begins with ~.
    """
    if problem := path_problem(out):
        raise OutputUnwritableError(problem)
    try:
        place = out.resolve()
        str(place).encode()
        return place
    except UnicodeEncodeError as error:
        raise OutputUnwritableError(
            f"{out} cannot be written: its path is not UTF-8, or LANG is not a UTF-8 locale"
        ) from error
    except FileNotFoundError as error:
        raise OutputUnwritableError(
            f"{out} cannot be written: the current folder has been removed; change to another one"
        ) from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, before Python 3.13
        reason = place_problem(error) or "it is a symbolic link to itself"
        raise OutputUnwritableError(f"{out} cannot be written: {reason}") from error


def is_mounted(place: Path) -> bool:
    """Whether a file system, or a part of one, is mounted at exactly this path."""
    if os.path.ismount(place):
        return True
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False  # not Linux
    # Field 5 is the mount point, with blanks and the like in octal. No other call reports bind
    # mounts of the same file system.
    return str(place) in {re.sub(r"\\(\d{3})", unescaped, line.split()[4]) for line in lines}


def unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))


def short_name(place: Path) -> str:
    """The output's name, or a hash if derived names would become too long."""
    if len(os.fsencode(place.name)) <= LONGEST_NAME:
        return place.name
    return hashlib.sha256(os.fsencode(place.name)).hexdigest()[:32]


def fillable_only(place: Path) -> bool:
    """Whether an existing output cannot be renamed, so that its content must be replaced inside.

    That holds for mount points (every container volume) and folders whose parent is not writable.
    """
    if not place.is_dir():
        return False
    return is_mounted(place) or not os.access(place.parent, os.W_OK | os.X_OK)
