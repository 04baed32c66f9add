"""Measures further ideas of distillation, each against the recipe that it would be added to.

    python -m benchmarks.tried WORK GRAPH [--splits 5]

The student is a GraphSAGE on hashed text that a GraphSAGE on MiniLM's embeddings teaches, at 20
labels a class: the recipe with the largest gain that needs no prompt. Ideas are compared on
validation nodes, where what is kept is chosen; test accuracy stands beside it.

    soft labels    the teacher's smoothed answers on unlabelled nodes: what the others add to
    contrast       and its features, by the contrastive loss of LinguGKD: what `distill` does
    pseudo-labels  and the labels of the half of each class that the teacher is surest of
    hard labels    these alone, without soft labels
    energy         and its features, by the energy distance of the two sets of nodes
    three teachers  soft labels of three initialisations' mean
    asked 2%, 10%  soft labels; afterwards the teacher answers where the student is least sure

WORK holds splits, as `python -m benchmarks.accuracy` has them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.common.command import run_script
from benchmarks.common.graphs import described
from benchmarks.common.results import markdown_table, publish_results
from training.config import LABELS, ObjectiveOptions, StudentConfig
from training.data import Batch, GraphData, Targets
from training.distill import fit
from training.evaluation.folder import GRAPH_TEACHER, EvaluationFolder
from training.evaluation.plan import EvaluationOptions, RunKey
from training.evaluation.run import TrainingInputs, accuracy, run_config, train_recipe
from training.evaluation.statistics import LEVEL, SAME, sign_flips
from training.loop import predict
from training.losses.features import feature_nodes
from training.losses.objectives import Objective, Reach, nothing, register_objective
from training.recipe_names import VANILLA
from training.student.network import Student, StudentOutput
from training.student_teacher import student_answers
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import make_targets
from training.terminal import quiet_libraries
from understudy.graph import TextGraph, load_graph
from understudy.progress import Progress, terminal_progress

SOFT = {LABELS: 1.0, "unlabeled": 1.0}
IDEAS: Mapping[str, Mapping[str, float]] = {
    "alone": {LABELS: 1.0},
    "soft labels": SOFT,
    "contrast": {**SOFT, "lingugkd": 0.1},
    "pseudo-labels": {**SOFT, "pseudo-labels": 1.0},
    "hard labels": {LABELS: 1.0, "pseudo-labels": 1.0},
    "energy": {**SOFT, "energy": 0.1},
}
BASE, TEACHERS = "soft labels", 3
SHARES = (0.02, 0.1)  # of nodes that the teacher is asked about afterwards
SURE = 0.5  # share of each class of the teacher's answers that gives pseudo-labels


class PseudoLabels(Objective):
    """The labels that the teacher is surest of, an equal share of each class that it names.

    Confident answers as further labels, after PKD (Wang et al., 2023) and LOCLE (arXiv 2412.11983).
    """

    reach: Reach = "all"

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        confidence, self.labels = targets.log_probabilities.max(1)
        read = targets.known.clone()
        read[data.train] = False
        self.sure = torch.zeros_like(read)
        for label in range(targets.classes):
            own = torch.nonzero(read & (self.labels == label)).squeeze(1)
            count = int(SURE * len(own))
            self.sure[own[confidence[own].argsort(descending=True)[:count]]] = True

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.untrained[self.sure[batch.nodes[batch.untrained]]]
        if not len(rows):
            return nothing(output)
        return F.cross_entropy(output.logits[rows], self.labels[batch.nodes[rows]])


def energy_distance(first: Tensor, second: Tensor) -> Tensor:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of two sets of points (Székely and Rizzo, 2013).

    Shapes:
        first, second: float [M, d], [K, d]
    """
    between = torch.cdist(first, second).mean()
    return 2 * between - torch.pdist(first).mean() - torch.pdist(second).mean()


class Energy(Objective):
    """Energy distance of the student's and the teacher's nodes as distributions, not node by node,
    after a linear map into the teacher's space, both of unit norm.
    """

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        self.features = targets.required_features("energy")[-1]
        self.nodes = feature_nodes(targets, data)
        self.reach, self.anchors = self.nodes.reach, options.anchors
        self.project = nn.Linear(student.hidden, self.features.shape[1], bias=False)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = self.nodes.rows(batch)
        rows = rows[torch.randperm(len(rows))[: self.anchors]]
        if len(rows) < 2:
            return nothing(output)
        own = F.normalize(self.project(output.hidden[-1][rows]), dim=1)
        return energy_distance(own, F.normalize(self.features[batch.nodes[rows]].float(), dim=1))


@dataclass(frozen=True, slots=True)
class Result:
    """Accuracies of one idea on one split, shares."""

    split: int
    idea: str
    val: float
    test: float


def main(
    work: Annotated[Path, typer.Argument(help="Folder of splits, kept between calls.")],
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    splits: Annotated[int, typer.Option(min=2)] = 5,
) -> None:
    """Measure, print and write results/tried_GRAPH.json."""
    quiet_libraries()
    register_objective("pseudo-labels", PseudoLabels)
    register_objective("energy", Energy, reads_features=True, trains_head=False)
    whole = load_graph(graph)
    options = EvaluationOptions(splits=splits, seeds=1, split_kind="20-per-class")
    with terminal_progress() as progress:
        results = list(try_all(EvaluationFolder(whole, work, options, progress), progress))
    text = f"{described(whole)}; {splits} splits at 20 labels a class.\n\n{summary(results)}"
    rows = [{name: getattr(result, name) for name in Result.__slots__} for result in results]
    publish_results(f"tried_{graph.name}", {"graph": whole.name, "runs": rows}, text)


def try_all(evaluation: EvaluationFolder, progress: Progress) -> Iterator[Result]:
    splits = evaluation.options.splits
    for split in range(splits):
        progress("Trying ideas on splits", split, splits)
        yield from try_split(evaluation, split)
    progress("Trying ideas on splits", splits, splits)


def try_split(evaluation: EvaluationFolder, split: int) -> Iterator[Result]:
    """Tries every idea on one split, from the same initialisation."""
    inputs, _ = evaluation.shared(split, "hashing")
    one, several = teachers(evaluation, split)
    for idea, weights in IDEAS.items():
        logits = student(evaluation.options, split, inputs, one, weights)
        yield measured(split, idea, inputs.data, logits)
        if idea == BASE:
            for share in SHARES:
                mixed = deferred_where_unsure(logits, one.log_probabilities, share)
                yield measured(split, f"asked {share:.0%}", inputs.data, mixed)
    logits = student(evaluation.options, split, inputs, several, SOFT)
    yield measured(split, "three teachers", inputs.data, logits)


def teachers(evaluation: EvaluationFolder, split: int) -> tuple[Targets, Targets]:
    """The smoothed answers of one GraphSAGE on MiniLM, and the mean of three."""
    _, graph = evaluation.split(split)
    inputs, _ = evaluation.shared(split, GRAPH_TEACHER.encoder)
    logits, hidden = [], []
    for number in range(TEACHERS):
        key = replace(GRAPH_TEACHER, split=split, seed=GRAPH_TEACHER.seed - number)
        taught, _ = train_recipe(key, inputs, evaluation.options, evaluation.choice(key))
        with torch.no_grad():
            output = taught(inputs.data.features, inputs.data.edges)
        logits.append(output.logits.log_softmax(1))
        hidden.append(output.hidden[-1])
    mean = torch.stack(logits).exp().mean(0).log()
    return targets_of(graph, logits[0], hidden[0]), targets_of(graph, mean, hidden[0])


def targets_of(graph: TextGraph, logits: Tensor, hidden: Tensor) -> Targets:
    answers = student_answers(graph, logits, hidden)
    return make_targets(graph, (0,), with_smoothed_view(graph, (0,), answers))


def student(
    options: EvaluationOptions,
    split: int,
    inputs: TrainingInputs,
    targets: Targets,
    weights: Mapping[str, float],
) -> Tensor:
    """Trains a student; returns its logits, float32 [N, C]."""
    key = RunKey(split, 0, "hashing", "sage", VANILLA)
    config = replace(run_config(key, inputs, options, options.default_choice), terms=weights)
    data = replace(inputs.data, targets=targets)
    return predict(fit(config, data)[0], data)


def deferred_where_unsure(student: Tensor, teacher: Tensor, share: float) -> Tensor:
    """The teacher's log-probabilities at the share of nodes where the student is least sure."""
    mixed = student.log_softmax(1)
    unsure = mixed.max(1).values.argsort()[: round(share * len(mixed))]
    mixed[unsure] = teacher[unsure]
    return mixed


def measured(split: int, idea: str, data: GraphData, logits: Tensor) -> Result:
    return Result(split, idea, accuracy(logits, data, data.val), accuracy(logits, data, data.test))


def summary(results: list[Result]) -> str:
    """Means in percent, and each idea's difference from soft labels on validation, in points."""
    ideas = list(dict.fromkeys(result.idea for result in results))
    rows = []
    for idea in ideas:
        own = [result for result in results if result.idea == idea]
        base = [result for result in results if result.idea == BASE]
        gains = np.array([o.val - b.val for o, b in zip(own, base, strict=True)])
        val, test = (f"{100 * np.mean([getattr(r, s) for r in own]):.1f}" for s in ("val", "test"))
        rows.append((idea, val, test, "" if idea == BASE else difference(gains)))
    header = ("taught by", "validation", "test", f"above {BASE}, validation")
    return markdown_table(header, rows)


def difference(gains: NDArray[np.float64]) -> str:
    """Formats a mean with the interval of Student's t, as if splits were independent."""
    if np.ptp(gains) < SAME:
        return f"{100 * gains.mean():+.1f} on every split"
    low, high = stats.t.interval(1 - LEVEL, len(gains) - 1, gains.mean(), stats.sem(gains))
    text = f"{100 * gains.mean():+.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return f"{text}, p = {sign_flips(gains):.2f} by flips of signs"


if __name__ == "__main__":
    run_script(main)
