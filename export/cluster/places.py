"""Joins the cluster for export's passes, before torch or Ray are imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from understudy.cluster.joining import joined

if TYPE_CHECKING:
    from export.passes import PassesElsewhere


@contextmanager
def passes_place(ray: str, workers: int) -> Iterator["PassesElsewhere"]:
    """Joins the cluster.

    Raises:
        ClusterError: see `understudy.cluster.joining.joined`.
    """
    with joined(ray, workers) as cluster:
        from export.cluster.sharing import shared_passes

        yield partial(shared_passes, cluster)
