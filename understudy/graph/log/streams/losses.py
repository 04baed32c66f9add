"""What is said where Redis does not have what it acknowledged."""

from understudy.graph.errors import JournalDamagedError
from understudy.graph.log.streams.base import ADVICE


def gone(where: str) -> JournalDamagedError:
    return JournalDamagedError(
        f"{where} is gone, or another one took its place: restore Redis from a backup, or move the "
        "data folders of all replicas away to begin again with the bundle's graph"
    )


def lost(where: str, number: int, last: int) -> JournalDamagedError:
    """It ends too early.

    Args:
        number: of a record that was applied here.
        last: of the last one that is there.
    """
    return JournalDamagedError(
        f"{where} ends with record {last}, and {number} are applied here: Redis has lost "
        f"acknowledged changes; restore it from a backup, or {ADVICE}"
    )


def forked(where: str, number: int) -> JournalDamagedError:
    """It has other records up to a number than were applied here."""
    return JournalDamagedError(
        f"{where} holds other records up to {number} than were applied here: Redis has lost "
        f"acknowledged changes, and took others since; {ADVICE}"
    )
