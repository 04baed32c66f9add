"""Errors of the training package.

TrainingError
├── EncoderError            a text encoder is missing, or not the required one
├── CheckpointError         a student folder is missing, damaged, or of another graph
├── DivergedError           the loss became NaN or infinite
├── TeacherError            a teacher or its folder is missing, damaged, or unsuitable
│   └── StaleTeacherError   its answers are about another graph
├── EndpointError           a teacher's endpoint refuses, fails, or gives invalid answers
│   └── NonsenseError       most of its answers name no label
├── DeviceError             a device is not on this machine, or its name is unknown
└── EvaluationError         an evaluation's folder holds runs of another plan
"""


class TrainingError(Exception):
    """Base class of all expected errors of `training`."""


class EncoderError(TrainingError):
    """A text encoder is missing, or not the required one."""


class CheckpointError(TrainingError):
    """A student folder is missing, damaged, or belongs to another graph."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite."""


class TeacherError(TrainingError):
    """A teacher or its folder is missing, damaged, or lacks something that is needed."""


class StaleTeacherError(TeacherError):
    """A teacher's answers are about another graph."""


class EndpointError(TrainingError):
    """A teacher's endpoint refuses, fails, or gives invalid answers."""


class NonsenseError(EndpointError):
    """Most of an endpoint's answers name no label."""


class DeviceError(TrainingError):
    """A device is not on this machine, or its name is unknown."""


class EvaluationError(TrainingError):
    """An evaluation's folder holds runs of another plan."""
