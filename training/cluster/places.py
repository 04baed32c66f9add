"""Chooses where a stage runs, from the cluster options or arguments.

Neither torch nor Ray is imported before a cluster is joined.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import joined

if TYPE_CHECKING:
    from training.distill import FittingElsewhere
    from training.teacher.teach import AskingElsewhere


def check_shared_device(device: str) -> None:
    """Refuses a single device for all workers.

    Raises:
        ClusterError: a specific device of one machine is named.
    """
    if ":" in device:
        raise ClusterError(
            f"--device {device}: with --ray each worker gets a GPU of its own; use cuda or cpu"
        )


def check_shared_batch_size(size: int | None) -> None:
    """Refuses to train on the whole graph at once.

    Raises:
        ClusterError: the size is 0.
    """
    if size == 0:
        raise ClusterError(
            "--batch-size 0 trains on the whole graph at once, which workers cannot share; with "
            "--ray give a number of nodes per step, or auto"
        )


@contextmanager
def teacher_place(ray: str, workers: int, graph: Path) -> Iterator["AskingElsewhere"]:
    """Joins the cluster that a teacher is asked on.

    Raises:
        ClusterError: see `understudy.cluster.joining.joined`.
    """
    with joined(ray, workers) as cluster:
        from training.cluster.asking import on_cluster

        yield on_cluster(cluster, graph)


@contextmanager
def student_place(
    ray: str, workers: int, graph: Path, out: Path, encoder_path: Path | None
) -> Iterator["FittingElsewhere"]:
    """Joins the cluster that students are trained on.

    Raises:
        ClusterError: see `understudy.cluster.joining.joined`.
    """
    with joined(ray, workers) as cluster:
        from training.cluster.fitting import fitted_on

        with fitted_on(cluster, graph, out, encoder_path) as place:
            yield place
