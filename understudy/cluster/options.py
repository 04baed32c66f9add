"""The options that choose the machines of a stage; see `understudy.cluster.joining`."""

from typing import Annotated

import typer

from understudy.cluster.errors import ClusterError

Ray = Annotated[
    str,
    typer.Option(
        help="Run on a cluster of Ray: local for one on this machine, auto for the one that runs "
        "here, or HOST:PORT of its head; else in this process."
    ),
]
Workers = Annotated[
    int,
    typer.Option(min=0, help="Of --ray, at once; 0: one a GPU where there are some, else a core."),
]


def check_cluster(ray: str, workers: int) -> None:
    """Refuses inconsistent options.

    Raises:
        ClusterError: workers without a cluster, or a negative number.
    """
    if workers < 0:
        raise ClusterError(f"workers must be a whole number of at least 0, not {workers}")
    if workers and not ray:
        raise ClusterError("--workers is read with --ray; add --ray local, or leave it out")
