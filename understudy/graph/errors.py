"""Errors of this room.

GraphError
├── BadInputError            a source file holds something that cannot be repaired
│   └── MissingColumnError   it lacks a column that is needed or asked for
├── GraphFormatError         a graph folder is damaged, foreign or of a newer format
├── UntrainableError         a graph lacks what training needs: labels, splits
├── SourceError              a source (apt, a folder, a file) is missing or cannot be read
├── MutationError            a batch of changes is refused whole
│   └── UnknownItemError     it names a node or an edge that is not there
└── JournalError             the journal cannot be opened, read or written
    ├── JournalLockedError   another process has it for itself
    ├── LogMovedError        others were appended before this record
    ├── LogHeldError         a process that follows still needs what is to be forgotten
    ├── LogAwayError         what keeps the log cannot be reached at the moment
    ├── LogUnsureError       it went away before it told whether it kept a record
    ├── SnapshotStoreError   a store of snapshots cannot be used
    ├── JournalForeignError  it belongs to another bundle, or is no journal
    └── JournalDamagedError  what is in it is not what was written
"""

from understudy.portable_errors import PortableError


class GraphError(PortableError):
    """Root of every expected error of `graph`."""


class BadInputError(GraphError):
    """A source file holds something that cannot be repaired; the message says where."""


class MissingColumnError(BadInputError):
    """A source file lacks a column that is needed or asked for."""


class GraphFormatError(GraphError):
    """A graph folder is damaged, foreign, or of a newer format."""


class UntrainableError(GraphError):
    """A graph lacks what training needs."""


class SourceError(GraphError):
    """A source is missing or cannot be read."""


class MutationError(GraphError):
    """A batch of changes is refused whole.

    Attributes:
        position: of the first item at fault, in its batch.
    """

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(f"mutation {position}: {problem}")
        self.position = position


class UnknownItemError(MutationError):
    """A change names a node or an edge that is not there."""


class JournalError(GraphError):
    """The journal cannot be opened, read or written."""


class JournalLockedError(JournalError):
    """Another process has the journal for itself."""


class LogMovedError(JournalError):
    """Others were appended between what a process had read and what it wants to append."""


class LogHeldError(JournalError):
    """A process that follows the log, or starts, has not applied what is to be forgotten."""


class LogAwayError(JournalError):
    """What keeps the log cannot be reached at the moment; it is asked again."""


class LogUnsureError(JournalError):
    """What keeps the log did not tell whether it kept a record, or not how safely."""


class SnapshotStoreError(JournalError):
    """A store of snapshots cannot be reached, or what it holds is damaged."""


class JournalForeignError(JournalError):
    """The journal belongs to another bundle, or the file is no journal."""


class JournalDamagedError(JournalError):
    """What is in the journal is not what was written."""


def first_line(error: BaseException) -> str:
    """What another's error says first, or its name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
