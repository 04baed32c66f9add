"""Errors of this room.

TrainingError
├── EncoderError        a text encoder is missing, or not the one that was asked for
├── CheckpointError     a student folder is missing, damaged, or of another graph
├── DivergedError       the loss became NaN or infinite
├── TeacherError        a teacher or its folder is missing, damaged, or lacks what is asked of it
│   └── StaleTeacherError   its answers are about another graph
├── EndpointError       a teacher's endpoint refuses, fails, or answers nonsense
│   └── NonsenseError       most of its answers name no label
├── DeviceError         a device is not here, or is none
└── EvaluationError     an evaluation's folder holds runs of another plan
"""


class TrainingError(Exception):
    """Root of every expected error of `training`."""


class EncoderError(TrainingError):
    """A text encoder is missing, or not the one that was asked for."""


class CheckpointError(TrainingError):
    """A student folder is missing, damaged, or belongs to another graph."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite."""


class TeacherError(TrainingError):
    """A teacher or its folder is missing, damaged, or lacks what is asked of it."""


class StaleTeacherError(TeacherError):
    """A teacher's answers are about another graph."""


class EndpointError(TrainingError):
    """A teacher's endpoint refuses, fails, or answers nonsense."""


class NonsenseError(EndpointError):
    """Most of an endpoint's answers name no label."""


class DeviceError(TrainingError):
    """A device is not on this machine, or a name is that of none."""


class EvaluationError(TrainingError):
    """An evaluation's folder holds runs of another plan."""
