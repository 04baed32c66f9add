"""Errors of this room.

TrainingError
├── EncoderError        a text encoder is missing, or not the one that was asked for
├── CheckpointError     a student folder is missing, damaged, or of another graph
├── UntrainableError    the graph lacks what training needs: labels, splits
└── DivergedError       the loss became NaN or infinite
"""


class TrainingError(Exception):
    """Root of every expected error of `training`."""


class EncoderError(TrainingError):
    """A text encoder is missing, or not the one that was asked for."""


class CheckpointError(TrainingError):
    """A student folder is missing, damaged, or belongs to another graph."""


class UntrainableError(TrainingError):
    """The graph lacks what training needs."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite."""
