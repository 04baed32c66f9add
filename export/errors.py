"""Errors of this room.

ExportError
├── ParityError    the exported network does not compute what the trained one does
└── StaleError     the graph is not the one that the student was trained on
"""


class ExportError(Exception):
    """Root of every expected error of `export`."""


class ParityError(ExportError):
    """The exported network does not compute what the trained one does."""


class StaleError(ExportError):
    """The graph is not the one that the student was trained on."""
