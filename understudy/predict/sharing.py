"""Answers rows in the workers of a cluster, each of which opens the bundle."""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from understudy.bundle import BundleError
from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import Cluster
from understudy.cluster.places import check_seen
from understudy.cluster.sharing import Workers, at_work
from understudy.engine import Engine
from understudy.engine.errors import EngineError
from understudy.predict.answering import InProcess
from understudy.predict.rows import Answer, Row

ENDED = "the same command resumes with the rows that are not answered yet"
Batch = tuple[Sequence[Row], int]  # rows with a node each, and the number of labels to list


class AnsweringWorker:
    """A worker process that keeps the bundle open."""

    def __init__(self, folder: str, model: str, provider: str) -> None:
        self.folder, self.model, self.provider = Path(folder), model, provider

    @cached_property
    def answerer(self) -> InProcess:
        """Opens the bundle, when the first rows arrive.

        Raises:
            ClusterError: there is no bundle at that path, or another one.
            BundleError, GraphError, EngineError: see `Engine.open`.
        """
        check_seen(self.folder, "the bundle")
        engine = Engine.open(self.folder, 1, self.provider)  # a worker has one core
        if engine.model_version != self.model:
            raise ClusterError(
                f"{self.folder} on {socket.gethostname()} holds a different bundle than here; "
                "every machine of the cluster must have the same one"
            )
        return InProcess(engine)

    def work(self, item: Batch) -> list[Answer]:
        return self.answerer.answer(*item)


class OnCluster(InProcess):
    """Answers in workers; the bundle is also opened in this process, to read its graph."""

    def __init__(self, engine: Engine, workers: Workers[Batch, list[Answer]]) -> None:
        super().__init__(engine)
        self.workers = workers

    def answer_each(
        self, batches: Iterable[Sequence[Row]], top_k: int
    ) -> Iterator[Sequence[Answer]]:
        """Answers several batches at once, and yields them in order.

        Raises:
            ClusterError: the workers die repeatedly.
            InferenceError: see `InProcess.answer`.
        """
        return self.workers.each((batch, top_k) for batch in batches)


@contextmanager
def shared_answers(
    cluster: Cluster, folder: Path, engine: Engine, provider: str
) -> Iterator[OnCluster]:
    """Starts workers that answer from a bundle, whose path must be the same on all machines.

    Raises:
        ClusterError: a GPU is requested, and there are fewer GPUs than workers.
    """
    share = {"CPU": 1.0}
    if provider != "cpu":
        share = cluster.share_with_gpu(f"--provider {provider}", "--provider cpu")
    own = str(folder.resolve()), engine.model_version, provider
    errors = (EngineError, BundleError)
    with at_work(cluster, AnsweringWorker, *own, share=share, ours=errors, then=ENDED) as workers:
        yield OnCluster(engine, workers)
