"""Distributes items of work to processes of a cluster; results come in the items' order."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import ray

from understudy.cluster.failures import KEPT, cluster_errors
from understudy.cluster.joining import Cluster

DEATHS = 5  # of one worker, after which the work fails
AT_ONCE = 2  # items assigned to a worker, so that it does not idle
AHEAD = 8  # items per worker whose results may wait for an earlier one

Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Worker(Protocol[Item, Result]):
    """The interface of a worker process.

    Code that may fail belongs in `work`: for a failing constructor, Ray only reports the text.
    """

    def work(self, item: Item) -> Result: ...


@dataclass(frozen=True, slots=True)
class Workers(Generic[Item, Result]):
    """Workers that have been started.

    Attributes:
        ours: errors that they raise unchanged, in addition to those that any worker may raise
        then: what a failure leaves behind, in words
    """

    actors: tuple[Any, ...]  # Ray's handles
    ours: tuple[type[Exception], ...]
    then: str

    def each(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yields every item's result, in order; items are taken only as fast as they are processed.

        A worker that dies is restarted, and its items are processed again.

        Raises:
            ClusterError: it dies repeatedly.
        """
        left, order = iter(items), deque[Any]()
        free, busy = deque(self.actors * AT_ONCE), dict[Any, Any]()
        with cluster_errors(*self.ours, then=self.then):
            while True:
                while free and len(order) < AHEAD * len(self.actors):
                    for item in left:
                        actor = free.popleft()
                        order.append(actor.work.remote(item))
                        busy[order[-1]] = actor
                        break
                    else:
                        break
                if not order:
                    return
                for done in ray.wait(list(busy))[0]:
                    free.append(busy.pop(done))
                while order and order[0] not in busy:
                    yield ray.get(order.popleft())


@contextmanager
def at_work(
    cluster: Cluster,
    kind: type[Worker[Item, Result]],
    *arguments: object,
    share: Mapping[str, float] | None = None,
    ours: tuple[type[Exception], ...] = (),
    then: str = KEPT,
) -> Iterator[Workers[Item, Result]]:
    """Starts as many workers as the cluster was joined for, and stops them at the end.

    Args:
        kind: the class of a worker, constructed on the cluster from the arguments
        share: resources of one worker, in Ray's terms; None: one core
        ours, then: see `Workers`
    """
    own = dict(share or {"CPU": 1})
    remote = ray.remote(kind).options(
        num_cpus=own["CPU"],
        num_gpus=own.get("GPU", 0),
        max_restarts=DEATHS,
        max_task_retries=DEATHS,
    )
    actors: tuple[Any, ...] = tuple(remote.remote(*arguments) for _ in range(cluster.workers))
    try:
        yield Workers(actors, ours, then)
    finally:
        for actor in actors:
            ray.kill(actor)
