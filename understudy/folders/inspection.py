"""Checks whether an output may be replaced, by its content and by its place."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from understudy.folders.errors import OutputRefusedError, OutputUnwritableError
from understudy.folders.kinds import EVALUATION, Kind, first_foreign, kind_of
from understudy.folders.workplace import passing


def refuse_foreign(out: Path, place: Path, kind: Kind | None = None) -> None:
    """Refuses an output that is not a folder, or holds files that no command of ours wrote.

    Args:
        place: the output's real path.
        kind: of what is to be written; if it grows, foreign files may be in it.

    Raises:
        OutputRefusedError: names the first such entry.
        OutputUnwritableError: it is a link to nothing.
    """
    if not os.path.lexists(place):
        if out.is_symlink() and not place.parent.is_dir():
            raise OutputUnwritableError(f"{out} is a link to {place}, whose folder does not exist")
        return
    if not place.is_dir():
        raise OutputRefusedError(f"{out} is a file; give a folder to write to")
    found = kind_of(place)
    if kind is not None and found is kind and kind.grows:
        return
    foreign = first_foreign(place, found, passing(place))
    if foreign is not None:
        if (
            found is None
            and kind is not None
            and first_foreign(place, kind, passing(place)) is None
        ):
            raise OutputRefusedError(without_marker(out, place, kind))
        what = "something that understudy did not write:"
        if found is not None:
            what = f"{titled(found)}, and also"
        raise OutputRefusedError(
            f"{out} holds {what} {foreign}; such a folder is never replaced: choose another one, "
            "or move that away"
        )


def without_marker(out: Path, place: Path, kind: Kind) -> str:
    """What is wrong with a folder that holds only files of a kind, but not the one that says so."""
    state = "damaged" if (place / kind.marker).exists() else "missing"
    return (
        f"{out} looks like {titled(kind)}, but its {kind.marker} is {state}; restore that file, "
        "choose another folder, or move this one away"
    )


def titled(kind: Kind) -> str:
    return f"{'an' if kind is EVALUATION else 'a'} {kind.title}"


def refuse_other_kind(out: Path, place: Path, kind: Kind) -> None:
    """Refuses an output that is an understudy folder of another kind.

    Raises:
        OutputRefusedError: it is.
    """
    found = kind_of(place)
    if found is not None and found is not kind:
        forced = "" if kind.grows else ", or replace it with --force"  # it would replace nothing
        raise OutputRefusedError(
            f"{out} is of the kind {found.title}, not {kind.title}; choose another folder{forced}"
        )


def refuse_inputs(out: Path, place: Path, inputs: Iterable[Path]) -> None:
    """Refuses an output that is, contains or lies in an input, or contains the current folder.

    Raises:
        OutputRefusedError: names the input.
    """
    for path in inputs:
        for real in {real_path(path), real_path(path.parent) / path.name}:
            check_encoded(path, real)
            if same(real, place):
                raise OutputRefusedError(
                    f"{out} is the input {path} itself; choose another folder to write to"
                )
            if lies_in(real, place):
                raise OutputRefusedError(
                    f"{out} contains the input {path} and would be replaced; choose another folder"
                )
            if lies_in(place, real):
                raise OutputRefusedError(f"{out} is inside the input {path}; choose another folder")
    if any(lies_in(here, place) for here in standing()):
        raise OutputRefusedError(
            f"{out} contains the current folder or your home folder; choose another one"
        )


def refuse_within(out: Path, place: Path) -> None:
    """Refuses an output inside an understudy folder that is replaced as a whole, which its command
    could not replace any more.

    Raises:
        OutputRefusedError: names the folder.
    """
    for folder in place.parents:
        kind = kind_of(folder)
        if kind is not None and not kind.grows:
            raise OutputRefusedError(
                f"{out} would be inside the {kind.title} {folder}, which could then never be "
                "replaced; choose a folder outside of it"
            )


def check_encoded(path: Path, real: Path) -> None:
    """Refuses an input whose path cannot be recorded in the output.

    Raises:
        OutputRefusedError: it is not UTF-8.
    """
    try:
        f"{path}{real}".encode()
    except UnicodeEncodeError as error:
        raise OutputRefusedError(
            f"the path of the input {str(path)!r} is not UTF-8; rename it, or set LANG to a UTF-8 "
            "locale"
        ) from error


def real_path(path: Path) -> Path:
    """Resolves a path; a link to itself stays unresolved, and its reader reports it."""
    return Path(os.path.realpath(path))


def standing() -> Iterator[Path]:
    """The current folder and the home folder, if they exist."""
    with suppress(FileNotFoundError):  # it has been removed
        yield Path.cwd()
    with suppress(RuntimeError):  # a user unknown to the machine, as in some containers
        yield Path.home()


def lies_in(path: Path, folder: Path) -> bool:
    """Whether an absolute path is a folder or below it."""
    return any(same(parent, folder) for parent in (path, *path.parents))


def same(one: Path, other: Path) -> bool:
    """Whether two paths are the same place, even under several names of the file system."""
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False  # one of them is not there
