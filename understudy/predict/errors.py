"""Errors of this room.

PredictError
├── OptionError         options contradict each other, or a value is invalid
├── BadRowError         with --strict: a row cannot be answered
├── ModelChangedError   the service answers with another model than at the beginning
└── OutputError         the output exists already, is being written, or cannot be written
"""


class PredictError(Exception):
    """Root of every expected error of `predict`."""


class OptionError(PredictError):
    """Options contradict each other, or a value is invalid."""


class BadRowError(PredictError):
    """With --strict: a row cannot be answered; the message says which one."""


class ModelChangedError(PredictError):
    """The service answers with another model than at the beginning."""


class OutputError(PredictError):
    """The output exists already, is being written, or cannot be written."""
