"""The cluster on which export's passes are done. Neither torch nor Ray is imported before."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from understudy.cluster.joining import joined

if TYPE_CHECKING:
    from export.passes import PassesElsewhere


@contextmanager
def passes_place(ray: str, workers: int) -> Iterator["PassesElsewhere"]:
    """The cluster, joined.

    Raises:
        ClusterError: see `understudy.cluster.joining.joined`.
    """
    with joined(ray, workers) as cluster:
        from export.cluster.sharing import shared_passes

        yield partial(shared_passes, cluster)
