"""What an evaluation runs, on which splits, and the names of its runs."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import (
    ENCODER_KINDS,
    EncoderKind,
    ObjectiveOptions,
    StudentConfig,
    TrainingConfig,
)
from training.errors import EvaluationError
from training.evaluation.teachers import check_teacher
from training.losses.objectives import MAKERS
from training.recipes import COMBINED, RECIPES, UNSMOOTHED, VANILLA
from training.student.network import STUDENTS
from training.teacher.answers.folder import FORMAT_VERSION
from training.teacher.options import TeachOptions
from understudy.graph import UNLABELED, TextGraph, random_split

CHOSEN = "chosen"  # in reports: of these recipes' runs, the one that is best on validation
CHOSEN_FROM = (VANILLA, "lingugkd", "unlabeled", COMBINED, UNSMOOTHED)  # the first of equals
SPLIT_KINDS = ("60/20/20", "20-per-class")
SHARES = (0.6, 0.2, 0.2)  # of training, validation and test, of the split with many labels
TRAIN_A_CLASS = 20  # of the few-label split
VALIDATION = 500  # nodes of the few-label split, at most a third of what training leaves


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of hyperparameters; what the search chooses on validation."""

    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    dropout: float = 0.5
    input_dropout: float = 0.0
    hidden: int = StudentConfig().hidden
    bare: bool = False  # no residual and no normalisation, as the papers' small networks are
    strength: float = 1.0  # factor on every weight but that of the labels

    def student(self, kind: str, layers: int = 2) -> StudentConfig:
        return StudentConfig(
            kind=kind,
            layers=layers,
            hidden=self.hidden,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            residual=not self.bare,
            normalization="none" if self.bare else "layer",
        )

    def training(self, base: TrainingConfig, seed: int) -> TrainingConfig:
        return replace(
            base, seed=seed, learning_rate=self.learning_rate, weight_decay=self.weight_decay
        )


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    splits: int = 5  # each with a teacher of its own
    seeds: int = 2  # initialisations a split
    split_kind: str = SPLIT_KINDS[0]
    students: tuple[str, ...] = ("gcn", "gat", "sage", "gin")
    encoders: tuple[EncoderKind, ...] = ("minilm", "hashing")
    recipes: tuple[str, ...] = RECIPES
    layers: int = 2
    hidden: int = StudentConfig().hidden  # width, where no search chooses it
    training: TrainingConfig = field(default_factory=TrainingConfig)
    constants: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    teacher: TeachOptions = field(default_factory=TeachOptions)
    trials: int = 0  # of the search, the same for every recipe; 0 takes the defaults

    def __post_init__(self) -> None:
        check_teacher(self.teacher.teacher)
        for given, known, name in (
            (self.recipes, (*RECIPES, *MAKERS), "recipe"),
            (self.students, tuple(STUDENTS), "student"),
            (self.encoders, ENCODER_KINDS, "encoder"),
            ((self.split_kind,), SPLIT_KINDS, "kind of split"),
        ):
            unknown = [value for value in given if value not in known]
            if unknown:
                choices = ", ".join(dict.fromkeys(known))
                raise EvaluationError(f"unknown {name} {unknown[0]!r}; choose from {choices}")
            if not given:
                raise EvaluationError(f"an evaluation needs a {name}")
        if min(self.splits, self.seeds) < 1:
            raise EvaluationError("an evaluation needs at least one split and one seed")

    @property
    def default_choice(self) -> Choice:
        """What every recipe has where nothing is searched for."""
        return Choice(hidden=self.hidden)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What results depend on, besides their own names: the rest may grow between calls."""
        return {
            "split_kind": self.split_kind,
            "layers": self.layers,
            "hidden": self.hidden,
            "training": asdict(self.training),
            "constants": asdict(self.constants),
            "teacher": {k: v for k, v in asdict(self.teacher).items() if k != "endpoint"},
            "trials": self.trials,
            "teacher_format": FORMAT_VERSION,  # of another, training nodes hear other things
        }


@dataclass(frozen=True, slots=True)
class RunKey:
    split: int
    seed: int
    encoder: EncoderKind
    student: str
    recipe: str

    @property
    def name(self) -> str:
        return f"{self.encoder}-{self.student}-{self.recipe}-split{self.split}-seed{self.seed}"


def run_keys(options: EvaluationOptions) -> Iterator[RunKey]:
    """Every run, a split at a time, so that an interrupted evaluation has whole splits."""
    parts = (range(options.splits), range(options.seeds), options.encoders, options.students)
    for split, seed, encoder, student, recipe in product(*parts, options.recipes):
        yield RunKey(split, seed, encoder, student, recipe)


def split_graph(graph: TextGraph, kind: str, seed: int) -> TextGraph:
    """The graph with a split drawn anew: stratified 60/20/20, or 20 training nodes a class.

    Nodes of one group are never graded by one another: where only some are trained on, the others
    are in no part of the split.
    """
    if kind == "60/20/20":
        splits = random_split(graph.labels, SHARES, seed, graph.groups)
        return replace(graph, splits=splits)
    generator = np.random.default_rng([seed, 5])
    labeled = generator.permutation(np.flatnonzero(graph.labels != UNLABELED))
    chosen = [
        labeled[graph.labels[labeled] == label][:TRAIN_A_CLASS]
        for label in range(graph.num_classes)
    ]
    train = np.concatenate(chosen)
    groups = np.arange(graph.num_nodes) if graph.groups is None else graph.groups
    rest = apart(labeled, train, groups)
    val = rest[: min(VALIDATION, len(rest) // 3)]
    parts = {"train": train, "val": val, "test": apart(rest, val, groups)}
    return replace(graph, splits={name: np.sort(nodes) for name, nodes in parts.items()})


def apart(
    nodes: NDArray[np.int64], others: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The nodes of groups that the others have none of, in their order; groups: int64 [N]."""
    return nodes[~np.isin(groups[nodes], groups[others])]
