"""Failures on a cluster, as errors of this room: what a worker of ours said, or what Ray says."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError, RayTaskError
from ray.train import TrainingFailedError
from ray.train.v2.api.exceptions import WorkerGroupError

from training.errors import ClusterError, TrainingError, first_line
from understudy.graph.errors import GraphError
from understudy.plugins import PluginError

OURS = (TrainingError, GraphError, PluginError)


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Raises what a worker raised, where that is an error of ours, and else ClusterError."""
    try:
        yield
    except (RayError, TrainingFailedError) as error:
        for cause in causes(error):
            if isinstance(cause, OURS):
                raise type(cause)(*cause.args) from error
        told = told_by(list(causes(error))[-1])
        raise ClusterError(
            f"the workers of the cluster failed: {told}; what was done is kept, and the same "
            "command goes on from there"
        ) from error


def told_by(error: BaseException) -> str:
    """What an error says first, and next where that only announces it."""
    lines = str(error).strip().splitlines()
    announces = len(lines) > 1 and lines[0].endswith(":")
    return f"{lines[0]} {lines[1]}" if announces else first_line(error)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from."""
    while error is not None:
        yield error
        if isinstance(error, WorkerGroupError) and error.worker_failures:
            error = next(iter(error.worker_failures.values()))
        elif isinstance(error, RayTaskError) and error.cause is not None:
            error = error.cause
        else:
            error = error.__cause__
