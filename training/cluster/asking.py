"""Asks a teacher's parts on a cluster, by workers that each load the teacher."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import ray
import torch
from numpy.typing import NDArray

from training.errors import TrainingError
from training.teacher.extract import AskParts, Write, WrittenPrompts, answer_part
from training.teacher.local import LocalTeacher, load_local
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers, Teacher
from training.teacher.teach import AskingElsewhere
from training.teacher.tuning import tuned_weights
from understudy.cluster.joining import Cluster
from understudy.cluster.places import load_same_graph
from understudy.cluster.sharing import at_work
from understudy.graph.folder import read_meta
from understudy.graph.prompts import graph_prompter

TunedWeights = Mapping[str, torch.Tensor]  # by name; empty if nothing was tuned


def on_cluster(cluster: Cluster, graph_folder: Path) -> AskingElsewhere:
    """Returns a factory that asks a teacher on a cluster, whose machines see the graph folder by
    the same path.
    """

    def elsewhere(options: TeachOptions) -> AskParts:
        def ask_parts(
            teacher: Teacher,
            parts: Mapping[int, WrittenPrompts],
            tokens_per_batch: int,
            report: Callable[[int], None],
        ) -> Iterator[tuple[int, Answers]]:
            return answered(cluster, graph_folder, options, cast(LocalTeacher, teacher), parts)

        return ask_parts

    return elsewhere


def answered(
    cluster: Cluster,
    graph_folder: Path,
    options: TeachOptions,
    teacher: LocalTeacher,
    parts: Mapping[int, WrittenPrompts],
) -> Iterator[tuple[int, Answers]]:
    """Yields the answers of the parts, in order.

    Prompts are sent as nodes and hops, and the tuned weights once. A worker that dies is restarted
    and asks the parts that it was working on again.

    Raises:
        ClusterError: the workers cannot start, or die repeatedly.
        TrainingError, GraphError: see `load_local` and `load_same_graph`.
    """
    if not parts:
        return
    tuned = tuned_weights(teacher) if options.tuning.epochs else {}
    weights: TunedWeights = {name: weight.detach().cpu() for name, weight in tuned.items()}
    graph = str(graph_folder.resolve()), read_meta(graph_folder)["content_hash"]
    enough = replace(cluster, workers=min(cluster.workers, len(parts)))
    kept = ray.put(weights)
    own = (*graph, options)
    with at_work(enough, AskingWorker, *own, share=enough.share, ours=(TrainingError,)) as workers:
        items = ((part.node_hops, kept) for part in parts.values())
        yield from zip(parts, workers.each(items), strict=True)


class AskingWorker:
    """A worker process that keeps the graph and the tuned teacher between parts."""

    loaded: tuple[LocalTeacher, Write] | None = None

    def __init__(self, graph_folder: str, content_hash: str, options: TeachOptions) -> None:
        self.graph_folder, self.content_hash = Path(graph_folder), content_hash
        self.options = options

    def work(self, item: tuple[NDArray[np.int64], "ray.ObjectRef[TunedWeights]"]) -> Answers:
        """Answers a part.

        Shapes:
            item: int64 [P, 2], nodes and hops; and the tuned weights, read with the first part
        """
        node_hops, weights = item
        if self.loaded is None:
            self.loaded = self.load(ray.get(weights))
        teacher, write = self.loaded
        prompts = list(WrittenPrompts(write, node_hops))
        return answer_part(teacher, prompts, self.options.tokens_per_batch)

    def load(self, weights: TunedWeights) -> tuple[LocalTeacher, Write]:
        """Loads the tuned teacher and the function that writes its prompts."""
        torch.set_num_threads(1)  # Ray assigns one core to each worker
        graph = load_same_graph(self.graph_folder, self.content_hash)
        teacher = load_local(graph, self.options)
        if weights:
            own = tuned_weights(teacher)
            with torch.no_grad():
                for name, weight in weights.items():
                    own[name].copy_(weight)
        return teacher, graph_prompter(graph, self.options.prompts).stored
