"""Errors of this room.

GraphError
├── BadInputError      a source file holds something that cannot be repaired
├── GraphFormatError   a graph folder is damaged, foreign or of a newer format
└── SourceError        a source (apt, a folder, a file) is missing or cannot be read
"""


class GraphError(Exception):
    """Root of every expected error of `graph`."""


class BadInputError(GraphError):
    """A source file holds something that cannot be repaired; the message says where."""


class GraphFormatError(GraphError):
    """A graph folder is damaged, foreign, or of a newer format."""


class SourceError(GraphError):
    """A source is missing or cannot be read."""
