"""Errors for a log in Redis that lacks acknowledged records, or does not keep a batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.graph.errors import (
    JournalDamagedError,
    JournalError,
    JournalForeignError,
    LogMovedError,
)
from understudy.graph.log.streams.base import ADVICE, Base
from understudy.graph.log.streams.entries import About, parse_about


def about_of(found: Sequence[Any], where: str, store: str = "") -> About:
    """The description of a log in Redis.

    Args:
        store: of snapshots, for messages; "" for none.

    Raises:
        JournalDamagedError: it is missing, or not what was written.
    """
    try:
        about = parse_about(found)
    except ValueError as error:
        raise JournalDamagedError(f"{where} is damaged: {error}") from error
    if about is None:
        raise gone(where, store)
    return about


def check_base(base: Base, about: About, graph: str, where: str, path: Path) -> None:
    """Checks that a log continues from where a process begins.

    Args:
        graph: lineage that the log should have.
        path: of the file that says where to begin.

    Raises:
        JournalForeignError: they do not belong together.
        JournalDamagedError: Redis has lost records.
        JournalError: needed records were deleted.
    """
    if (base.graph, base.birth) != (graph, about.birth):
        raise JournalForeignError(
            f"{path} does not belong to {where} but to another log; use a separate data folder for "
            "each log"
        )
    if base.number < about.start:
        raise JournalError(
            f"{where} begins after record {about.start}, and the newest snapshot here is of "
            f"{base.number}: copy {path.name} and the snapshot that it names from another "
            f"replica's data folder to {path.parent}, and start again"
        )
    if base.number > about.last:
        raise lost(where, base.number, about.last)


def check_stored(base: Base, about: About, where: str, store: str) -> None:
    """Checks that a log continues from the newest snapshot of a store.

    Args:
        store: for messages.

    Raises:
        JournalForeignError: it belongs to another log.
        JournalDamagedError: Redis has lost records.
        JournalError: needed records were deleted.
    """
    if base.birth != about.birth:
        raise JournalForeignError(
            f"{store} holds snapshots of another log than {where}; restore Redis from a backup, or "
            "name another place with --snapshots to begin again with the bundle's graph"
        )
    if base.number < about.start:
        raise JournalError(
            f"{where} begins after record {about.start}, and the newest snapshot in {store} is of "
            f"{base.number}: start again once a running replica has stored a newer one"
        )
    if base.number > about.last:
        raise lost(where, base.number, about.last)


def gone(where: str, store: str = "") -> JournalDamagedError:
    beside = f" and name another place than {store} with --snapshots" if store else ""
    return JournalDamagedError(
        f"{where} is missing or was replaced: restore Redis from a backup, or move the data "
        f"folders of all replicas away{beside} to start again with the bundle's graph"
    )


def lost(where: str, number: int, last: int) -> JournalDamagedError:
    """The error for a log that ends too early.

    Args:
        number: of a record that was applied here.
        last: of the last one in Redis.
    """
    return JournalDamagedError(
        f"{where} ends with record {last}, but {number} are applied here: Redis has lost "
        f"acknowledged changes; restore it from a backup, or {ADVICE}"
    )


def forked(where: str, number: int) -> JournalDamagedError:
    """The error for a log whose records differ from those that were applied here."""
    return JournalDamagedError(
        f"{where} holds other records up to {number} than were applied here: Redis has lost "
        f"acknowledged changes and accepted others since; {ADVICE}"
    )


def not_kept(where: str, outcome: str, number: int, last: int) -> JournalError:
    """The error for a batch that Redis did not keep.

    Args:
        outcome: of the script `APPEND`.
        number: of the record that the log had to hold.
        last: of the last one in Redis.
    """
    match outcome:
        case "moved":
            return LogMovedError(f"{where} goes on after record {last}")
        case "gone":
            return gone(where)
        case "lost":
            return lost(where, number, last)
        case "forked":
            return forked(where, number)
        case _:  # this process has sent another batch since
            return JournalError(f"{where} took a batch for one that came late")


def lost_before(where: str, number: int, last: int, path: Path) -> str:
    """The message if Redis lacks records that earlier processes had read.

    Args:
        number: of the last one that they had read.
        last: of the last one in Redis.
        path: of the file that recorded it.
    """
    what = f"ends with record {last}" if last < number else f"holds other records up to {number}"
    return (
        f"{where} {what}, but {number} were applied with this data folder: Redis has lost "
        f"acknowledged changes; restore it from a backup that has them, or remove {path} to "
        "continue without them"
    )
