"""Errors of this room.

PredictError
├── OptionError         options that do not go together, or a value that is none
├── BadRowError         with --strict: a row cannot be answered
├── ModelChangedError   the service answers with another model than at the beginning
└── OutputError         the output is there already, is being written, or cannot be written
"""


class PredictError(Exception):
    """Root of every expected error of `predict`."""


class OptionError(PredictError):
    """Options do not go together, or one has a value that is none."""


class BadRowError(PredictError):
    """With --strict: a row cannot be answered; the message says where it is."""


class ModelChangedError(PredictError):
    """The service answers with another model than at the beginning."""


class OutputError(PredictError):
    """The output is there already, is being written, or cannot be written."""
