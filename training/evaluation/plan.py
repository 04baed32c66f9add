"""The plan of an evaluation, and the names of its runs."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

from training.config import (
    ENCODER_KINDS,
    EncoderKind,
    ObjectiveOptions,
    StudentConfig,
    TrainingConfig,
    check_whole,
)
from training.errors import EvaluationError
from training.evaluation.splits import SPLIT_KINDS, check_splits
from training.evaluation.teachers import check_teacher
from training.losses.objectives import MAKERS
from training.recipe_names import COMBINED, UNSMOOTHED, VANILLA
from training.recipes import RECIPES
from training.student.network import STUDENTS
from training.teacher.answers.folder import FORMAT_VERSION
from training.teacher.options import TeachOptions

CHOSEN = "chosen"  # in reports: the run of these recipes that is best on validation
CHOSEN_FROM = (VANILLA, "lingugkd", "unlabeled", COMBINED, UNSMOOTHED)  # the first if several tie


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of hyperparameters, as found by the search on validation."""

    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    dropout: float = 0.5
    input_dropout: float = 0.0
    hidden: int = StudentConfig().hidden
    bare: bool = False  # without residual and normalisation, like the small networks in papers
    strength: float = 1.0  # factor on every weight except that of the labels

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
    splits: int = 10  # each has its own teacher
    seeds: int = 2  # initialisations per split
    split_kind: str = SPLIT_KINDS[0]
    students: tuple[str, ...] = ("gcn", "gat", "sage", "gin")
    encoders: tuple[EncoderKind, ...] = ("minilm", "hashing")
    recipes: tuple[str, ...] = RECIPES
    layers: int = 2
    hidden: int = StudentConfig().hidden  # width, unless a search chooses it
    training: TrainingConfig = field(default_factory=TrainingConfig)
    constants: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    teacher: TeachOptions = field(default_factory=TeachOptions)
    trials: int = 0  # of the search, the same number for every recipe; 0 takes the defaults
    withheld: float = 0.0  # share of test nodes removed first, with their edges

    def __post_init__(self) -> None:
        check_teacher(self.teacher.teacher)
        for chosen, known, name in (
            (self.recipes, (*RECIPES, *MAKERS), "recipe"),
            (self.students, tuple(STUDENTS), "student"),
            (self.encoders, ENCODER_KINDS, "encoder"),
        ):
            unknown = [value for value in chosen if value not in known]
            if unknown:
                choices = ", ".join(dict.fromkeys(known))
                raise EvaluationError(f"unknown {name} {unknown[0]!r}; choose from {choices}")
            if not chosen:
                raise EvaluationError(f"an evaluation needs a {name}")
        for name in ("splits", "seeds"):
            check_whole(name, getattr(self, name), 1)
        check_whole("trials", self.trials, 0)
        for kind in self.students:
            self.default_choice.student(kind, self.layers)  # fails now for an impossible width
        check_splits(self.split_kind, self.splits)

    @property
    def default_choice(self) -> Choice:
        """The hyperparameters of every recipe without a search."""
        return Choice(hidden=self.hidden)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """The settings that results depend on, besides their names; all others may grow between
        calls.
        """
        return {
            "split_kind": self.split_kind,
            "layers": self.layers,
            "hidden": self.hidden,
            "training": self.training.settings,
            "constants": asdict(self.constants),
            "teacher": {k: v for k, v in asdict(self.teacher).items() if k != "endpoint"},
            "trials": self.trials,
            "withheld": self.withheld,
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
    """Yields every run, split by split, so that an interrupted evaluation has complete splits."""
    yield from keys_of(options, options.encoders, options.students, options.recipes)


def keys_of(
    options: EvaluationOptions,
    encoders: Sequence[EncoderKind],
    students: Sequence[str],
    recipes: Sequence[str],
) -> Iterator[RunKey]:
    """Yields runs of given encoders, students and recipes on the same splits and seeds."""
    parts = (range(options.splits), range(options.seeds), encoders, students, recipes)
    for split, seed, encoder, student, recipe in product(*parts):
        yield RunKey(split, seed, encoder, student, recipe)
