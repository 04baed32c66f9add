"""The file of answers: written in parts in a folder next to it, then moved into place whole.

A part's name says which rows it holds and how many of them failed, so that a resumed run need not
read it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from understudy.folders import unfinished_folder
from understudy.folders.durable import flush
from understudy.folders.errors import place_errors
from understudy.folders.inspection import refuse_within
from understudy.folders.places import real_place, short_name
from understudy.graph.files import atomic_file
from understudy.predict.errors import OutputError
from understudy.predict.formats import Format, encode, join
from understudy.predict.rows import Answer

LOCK = "lock"
PART = re.compile(r"part-(\d+)-(\d+)-(\d+)\.\w+(\.\w+)?")  # first row, next part's, failed
DIGITS = 12  # of row numbers in names of parts


@dataclass(frozen=True, slots=True)
class Parts:
    """The finished parts of an output.

    Attributes:
        work: the folder of the parts.
    """

    out: Path
    work: Path
    kind: Format
    with_top: bool

    def files(self) -> list[Path]:
        """Lists the parts in order."""
        return sorted(path for path in self.work.iterdir() if PART.fullmatch(path.name))

    def done(self) -> tuple[int, int]:
        """Returns how many rows are answered, and how many of them failed."""
        numbers = [tuple(map(int, names(path).groups()[:3])) for path in self.files()]
        return max((end for _, end, _ in numbers), default=0), sum(bad for *_, bad in numbers)

    def add(self, first: int, answers: Sequence[Answer]) -> None:
        """Writes a part, whole or not at all.

        Args:
            first: number of its first row, from 0.

        Raises:
            OutputUnwritableError: for example, the disk is full.
        """
        end, bad = first + len(answers), sum(answer.error is not None for answer in answers)
        name = f"part-{first:0{DIGITS}}-{end:0{DIGITS}}-{bad}{self.kind.suffix}"
        content = encode(answers, self.kind, self.with_top)
        with place_errors(self.out), atomic_file(self.work / name) as temporary:
            temporary.write_bytes(content)
            flush(temporary)

    def finish(self) -> None:
        """Joins all parts to one file, and moves it into place.

        Raises:
            OutputUnwritableError: for example, the disk is full.
        """
        with place_errors(self.out):
            with atomic_file(self.out) as temporary, temporary.open("wb") as file:
                join(self.files(), file, self.kind, self.with_top)
            shutil.rmtree(self.work)


def left_by_others(parts: Parts) -> list[Path]:
    """Finds folders of parts from runs with another input, other options or another model."""
    own = re.compile(re.escape(parts.work.name.rpartition(".")[0]) + r"\.[0-9a-f]{12}")
    return [
        path
        for path in sorted(parts.work.parent.iterdir())
        if own.fullmatch(path.name) and path != parts.work and (path / LOCK).is_file()
    ]


def names(path: Path) -> "re.Match[str]":
    found = PART.fullmatch(path.name)
    assert found is not None
    return found


def check_place(out: Path, force: bool) -> None:
    """Checks the output before any work.

    Raises:
        OutputError: it exists already, or is a folder.
        OutputRefusedError: it would lie in a folder of understudy's.
        OutputUnwritableError: nothing can be written there.
    """
    place = real_place(out)
    refuse_within(out, place)
    if out.is_dir():
        raise OutputError(f"{out} is a folder; give a file for the answers")
    if out.exists() and not force:
        raise OutputError(f"{out} already exists; replace it with --force, or give another file")
    with place_errors(out):
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=f".{short_name(place)}.", dir=place.parent) as trial:
            trial.write(b"trial")


@contextmanager
def open_parts(out: Path, kind: Format, with_top: bool, about: Sequence[object]) -> Iterator[Parts]:
    """Opens the parts of an output, including those of a killed run; a link stays a link.

    Args:
        about: everything that the answers depend on; parts of a run with other values are not used.

    Raises:
        OutputError: another process is writing it.
    """
    digest = hashlib.sha256(repr(about).encode()).hexdigest()
    work = unfinished_folder(out, digest)
    with place_errors(out):
        work.mkdir(parents=True, exist_ok=True)
        lock = os.open(work / LOCK, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another process is writing {out}; wait for it") from None
        for path in work.glob(".part-*"):  # unfinished parts of a killed run
            path.unlink()
        parts = Parts(real_place(out), work, kind, with_top)
        try:
            yield parts
        finally:
            if work.is_dir() and not parts.files():  # finished, or not started
                shutil.rmtree(work)
    finally:
        os.close(lock)
