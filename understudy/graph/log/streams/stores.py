"""Snapshots that any replica may start from."""

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from understudy.graph.log.protocol import Log
from understudy.graph.log.streams.base import Base


class Store(Protocol):
    """What a log asks of it.

    Attributes:
        where: for messages.
    """

    where: str

    def newest(self) -> Base | None:
        """Where who starts with its newest snapshot begins; None if it has none.

        Raises:
            JournalError: it cannot be reached, or what it has is damaged.
        """

    def bring(self, base: Base) -> None:
        """Puts that snapshot into the data folder.

        Raises:
            JournalError, FolderError: it cannot, or not what was stored; nothing is left of it.
        """


@runtime_checkable
class Storing(Log, Protocol):
    """A log whose snapshots may lie in a store, too."""

    base: Base
    store: Store | None

    def stored(self, number: int) -> None: ...

    def storing(self) -> AbstractContextManager[bool]: ...
