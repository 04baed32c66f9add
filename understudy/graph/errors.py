"""Errors of the graph package.

GraphError
├── BadInputError             a source file holds something that cannot be repaired
│   └── MissingColumnError    a required or requested column is missing
├── GraphFormatError          a graph folder is damaged, foreign or of a newer format
├── UntrainableError          a graph lacks what training needs: labels, splits
├── SourceError               a source (apt, a folder, a file) is missing or cannot be read
├── MutationError             a batch of changes is refused as a whole
│   └── UnknownItemError      a change names a node or an edge that does not exist
└── JournalError              the journal cannot be opened, read or written
    ├── JournalLockedError    another process holds the journal exclusively
    ├── LogMovedError         another process appended before this record
    ├── LogHeldError          another process still needs the records to be deleted
    ├── LogAwayError          the log's server is unreachable at the moment
    ├── LogUnsureError        the log's server did not confirm whether a record was kept
    ├── SnapshotStoreError    a snapshot store cannot be used
    ├── JournalForeignError   the journal belongs to another bundle, or the file is no journal
    └── JournalDamagedError   the journal's content is not what was written
"""

from understudy.portable_errors import PortableError


class GraphError(PortableError):
    """Base class of all expected errors of `graph`."""


class BadInputError(GraphError):
    """A source file holds something that cannot be repaired; the message says where."""


class MissingColumnError(BadInputError):
    """A source file lacks a required or requested column."""


class GraphFormatError(GraphError):
    """A graph folder is damaged, foreign, or of a newer format."""


class UntrainableError(GraphError):
    """A graph lacks what training needs."""


class SourceError(GraphError):
    """A source is missing or cannot be read."""


class MutationError(GraphError):
    """A batch of changes is refused as a whole.

    Attributes:
        position: of the first invalid item in its batch.
        problem: the message without the position.
        field: of the item, such as target; empty: the item as a whole.
    """

    def __init__(self, position: int, problem: str, field: str = "") -> None:
        super().__init__(f"mutation {position}: {problem}")
        self.position, self.problem, self.field = position, problem, field


class UnknownItemError(MutationError):
    """A change names a node or an edge that does not exist."""


class JournalError(GraphError):
    """The journal cannot be opened, read or written."""


class JournalLockedError(JournalError):
    """Another process holds the journal exclusively."""


class LogMovedError(JournalError):
    """Another process appended after the last record that this process had read."""


class LogHeldError(JournalError):
    """Another process still needs the records to be deleted."""


class LogAwayError(JournalError):
    """The log's server is unreachable at the moment; the request is repeated."""


class LogUnsureError(JournalError):
    """The log's server did not confirm whether, or how safely, it kept a record."""


class SnapshotStoreError(JournalError):
    """A snapshot store cannot be reached, or its content is damaged."""


class JournalForeignError(JournalError):
    """The journal belongs to another bundle, or the file is no journal."""


class JournalDamagedError(JournalError):
    """The journal's content is not what was written."""


def first_line(error: BaseException) -> str:
    """The first line of another library's error message, or the error's class name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
