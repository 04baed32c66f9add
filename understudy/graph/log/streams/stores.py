"""The interface of snapshots that any replica may start from."""

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from understudy.graph.log.protocol import Log
from understudy.graph.log.streams.base import Base


class Store(Protocol):
    """The interface of a store.

    Attributes:
        where: for messages.
    """

    where: str

    def newest(self) -> Base | None:
        """The base of its newest snapshot; None if it has none.

        Raises:
            JournalError: it cannot be reached, or its content is damaged.
        """

    def bring(self, base: Base) -> None:
        """Copies that snapshot into the data folder.

        Raises:
            JournalError, FolderError: it cannot, or the data is not what was stored; nothing is
                left.
        """


@runtime_checkable
class Storing(Log, Protocol):
    """A log whose snapshots may also be in a store."""

    base: Base
    store: Store | None

    def stored(self, number: int) -> None: ...

    def storing(self) -> AbstractContextManager[bool]: ...
