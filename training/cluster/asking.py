"""A teacher's parts asked on a cluster: Ray Data gives them to actors, each with a teacher."""

import pickle
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray.data
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext

from training.errors import TrainingError
from training.teacher.extract import AskParts, Write, WrittenPrompts, answer_part
from training.teacher.local import LocalTeacher, load_local
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers, Teacher
from training.teacher.teach import AskingElsewhere
from training.teacher.tuning import tuned_weights
from understudy.cluster.failures import OURS, cluster_errors
from understudy.cluster.joining import Cluster
from understudy.cluster.places import load_same_graph
from understudy.graph.folder import read_meta
from understudy.graph.prompts import graph_prompter

LONGEST = 6 * 3600  # seconds without a part, after which a run ends whose actors die at one
FAILED = "failed"  # a column: the error, pickled, that an actor ended at in place of answers
Table = dict[str, NDArray[Any]]  # what Ray Data hands on: a batch of rows, by column


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
    """Parts as they come. Their prompts travel as nodes and hops, the tuned weights once.

    An actor that dies costs the part that it is at: Ray Data starts another one and asks it again.

    Raises:
        ClusterError: the actors cannot start, or no part comes any more.
        TrainingError, GraphError: see `load_local` and `load_same_graph`.
    """
    if not parts:
        return
    rows = [{"number": number, "asked": part.asked} for number, part in parts.items()]
    tuned = tuned_weights(teacher) if options.tuning.epochs else {}
    weights = ray.put({name: weight.detach().cpu() for name, weight in tuned.items()})
    graph = str(graph_folder.resolve()), read_meta(graph_folder)["content_hash"]
    share = cluster.share
    DataContext.get_current().execution_no_progress_timeout_s = LONGEST
    answers = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        AskingActor,
        batch_size=1,
        fn_constructor_args=(*graph, options, weights),
        compute=ActorPoolStrategy(size=min(cluster.workers, len(rows))),
        num_cpus=share["CPU"],
        num_gpus=share.get("GPU"),
    )
    with cluster_errors():
        for row in answers.iter_rows():
            if FAILED in row:
                raise pickle.loads(row[FAILED])
            yield int(row["number"]), Answers(row["log_probabilities"], row.get("features"))


class AskingActor:
    """A process with the graph and the tuned teacher, for as long as there are parts."""

    def __init__(
        self,
        graph_folder: str,
        content_hash: str,
        options: TeachOptions,
        weights: "ray.ObjectRef[Mapping[str, torch.Tensor]]",
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
        tuned = ray.get(self.weights)
        if tuned:
            own = tuned_weights(teacher)
            with torch.no_grad():
                for name, weight in tuned.items():
                    own[name].copy_(weight)
        return teacher, graph_prompter(graph, self.options.prompts).stored

    def __call__(self, batch: Table) -> Table:
        """One row: a part's number, and its nodes and hops, int64 [1, P, 2].

        An error of ours is handed on as a value: one that is raised here keeps its actor, and the
        actor its core, for as long as somebody keeps the error.
        """
        try:
            return self.answered(batch)
        except (*OURS, TrainingError) as error:
            return {"number": batch["number"], FAILED: np.array([pickle.dumps(error)], object)}

    def answered(self, batch: Table) -> Table:
        (asked,) = batch["asked"]
        teacher, write = self.loaded
        prompts = list(WrittenPrompts(write, np.asarray(asked)))
        answers = answer_part(teacher, prompts, self.options.tokens_per_batch)
        found: Table = {
            "number": batch["number"],
            "log_probabilities": answers.log_probabilities[None],
        }
        if answers.features is not None:
            found["features"] = answers.features[None]
        return found
