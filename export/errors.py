"""Errors of this room.

ExportError
├── ParityError    the exported network does not compute what the trained one does
├── GateError      a variant in another precision costs too much accuracy
└── StaleError     the graph is not the one that the student was trained on
"""


class ExportError(Exception):
    """Root of every expected error of `export`."""


class ParityError(ExportError):
    """The exported network does not compute what the trained one does."""


class GateError(ExportError):
    """A variant in another precision costs too much accuracy."""


class StaleError(ExportError):
    """The graph is not the one that the student was trained on."""
