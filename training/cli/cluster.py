"""The options that say on which machines a stage runs."""

from training.errors import ClusterError

RAY = (
    "Run on a cluster of Ray: local for one on this machine, auto for the one that runs here, or "
    "HOST:PORT of its head; else in this process."
)
WORKERS = "Of --ray, at once; 0: one a GPU where there are some, else one a core."


def check_workers(ray: str) -> None:
    """Refuses workers without a cluster.

    Raises:
        ClusterError: there is none.
    """
    if not ray:
        raise ClusterError("--workers is read with --ray; add --ray local, or leave it out")
