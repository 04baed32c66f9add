"""The options that choose the machines of a stage; see `understudy.cluster.joining`."""

from typing import Annotated

import typer

from understudy.cluster.errors import ClusterError

Ray = Annotated[
    str,
    typer.Option(
        help="Run on a Ray cluster: local starts one on this machine, auto joins the one that runs "
        "here, HOST:PORT joins the one with that head node. By default no cluster is used."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0, help="Number of workers with --ray; 0: one per GPU, or one per core without GPUs."
    ),
]


def check_cluster(ray: str, workers: int) -> None:
    """Refuses inconsistent options.

    Raises:
        ClusterError: workers without a cluster, or a negative number.
    """
    if workers < 0:
        raise ClusterError(f"workers must be a whole number of at least 0, not {workers}")
    if workers and not ray:
        raise ClusterError("--workers needs --ray; add --ray local, or leave --workers out")
