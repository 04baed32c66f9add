"""Converts failures on a cluster: our workers' own errors are kept, others come from Ray."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError, RayTaskError

from understudy.cluster.errors import ClusterError
from understudy.graph.errors import GraphError, first_line
from understudy.plugins import PluginError

OURS = (ClusterError, GraphError, PluginError)  # that any worker may raise
KEPT = "finished work is kept, and the same command resumes from there"


@contextmanager
def cluster_errors(
    *ours: type[Exception], raised: type[Exception] = RayError, then: str = KEPT
) -> Iterator[None]:
    """Re-raises a worker's error if it is one of ours; otherwise raises ClusterError.

    Args:
        ours: in addition to those that any worker may raise
        raised: an error class of a Ray library, in addition to RayError
        then: what a failure leaves behind, in words
    """
    try:
        yield
    except (RayError, raised) as error:
        for cause in causes(error):
            if isinstance(cause, (*OURS, *ours)):
                raise type(cause)(*cause.args) from error
        reason = first_words(list(causes(error))[-1])
        raise ClusterError(f"the workers of the cluster failed: {reason}; {then}") from error


def first_words(error: BaseException) -> str:
    """The first line of an error, and the second if the first only announces it."""
    lines = str(error).strip().splitlines()
    announces = len(lines) > 1 and lines[0].endswith(":")
    return f"{lines[0]} {lines[1]}" if announces else first_line(error)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and the errors that caused it."""
    while error is not None:
        yield error
        if failures := getattr(error, "worker_failures", None):  # set by Ray Train
            error = next(iter(failures.values()))
        elif isinstance(error, RayTaskError) and error.cause is not None:
            error = error.cause
        else:
            error = error.__cause__
