"""Errors of the export package.

ExportError
├── ParityError   the exported network computes something else than the trained one
├── GateError     a variant in another precision costs too much accuracy
└── StaleError    the graph is not the one that the student was trained on
"""


class ExportError(Exception):
    """Base class of all expected errors of `export`."""


class ParityError(ExportError):
    """The exported network computes something else than the trained one."""


class GateError(ExportError):
    """A variant in another precision costs too much accuracy."""


class StaleError(ExportError):
    """The graph is not the one that the student was trained on."""
