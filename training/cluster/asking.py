"""A teacher's parts asked on a cluster, by workers that each have the teacher."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
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


def asked_on(cluster: Cluster, graph_folder: Path) -> AskingElsewhere:
    """Asks a teacher of this graph on a cluster, whose machines see the folder by the same path."""

    def elsewhere(options: TeachOptions) -> AskParts:
        def ask_parts(
            teacher: Teacher,
            parts: Mapping[int, WrittenPrompts],
            tokens_per_batch: int,
            told: Callable[[int], None],
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
    """Parts in their order. Their prompts travel as nodes and hops, the tuned weights once.

    A worker that dies costs the parts that it has in hand: it is started again, and asks them.

    Raises:
        ClusterError: the workers cannot start, or die again and again.
        TrainingError, GraphError: see `load_local` and `load_same_graph`.
    """
    if not parts:
        return
    tuned = tuned_weights(teacher) if options.tuning.epochs else {}
    weights = {name: weight.detach().cpu() for name, weight in tuned.items()}
    graph = str(graph_folder.resolve()), read_meta(graph_folder)["content_hash"]
    enough = replace(cluster, workers=min(cluster.workers, len(parts)))
    kept = ray.put(weights)  # for as long as a worker may have to be started again
    own = (*graph, options, kept)
    with at_work(enough, AskingWorker, *own, share=enough.share, ours=(TrainingError,)) as workers:
        yield from zip(parts, workers.each(part.asked for part in parts.values()), strict=True)


class AskingWorker:
    """A process with the graph and the tuned teacher, for as long as there are parts."""

    def __init__(
        self,
        graph_folder: str,
        content_hash: str,
        options: TeachOptions,
        weights: Mapping[str, torch.Tensor],
    ) -> None:
        self.graph_folder, self.content_hash = Path(graph_folder), content_hash
        self.options, self.weights = options, weights

    @cached_property
    def loaded(self) -> tuple[LocalTeacher, Write]:
        """The tuned teacher, and what writes its prompts.

        Loaded with the first part: what fails in a constructor, Ray tells as text alone.
        """
        torch.set_num_threads(1)  # as many as its cores
        graph = load_same_graph(self.graph_folder, self.content_hash)
        teacher = load_local(graph, self.options)
        if self.weights:
            own = tuned_weights(teacher)
            with torch.no_grad():
                for name, weight in self.weights.items():
                    own[name].copy_(weight)
        return teacher, graph_prompter(graph, self.options.prompts).stored

    def work(self, asked: NDArray[np.int64]) -> Answers:
        """A part's answers.

        Shapes: asked: int64 [P, 2], nodes and hops
        """
        teacher, write = self.loaded
        return answer_part(
            teacher, list(WrittenPrompts(write, asked)), self.options.tokens_per_batch
        )
