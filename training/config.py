"""Configuration of a student, its objectives and its training, and the result; without torch."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, get_args

import numpy as np

from training.devices import AUTO, StudentPrecision, check_device
from training.errors import TrainingError

StudentKind = Literal["sage", "gcn", "gat", "gin", "mlp"]
Normalization = Literal["layer", "none"]
EncoderKind = Literal["minilm", "hashing"]
ENCODER_KINDS: tuple[EncoderKind, ...] = get_args(EncoderKind)
LABELS = "cross_entropy"  # the only objective that needs no teacher
OBJECTIVES = (LABELS, "kd", "unlabeled", "bd", "lingugkd", "nd", "lelp", "ff", "mixup")
SOFT = ("kd", "unlabeled", "bd")  # the objectives that read a teacher's soft labels
AROUND = ("ff",)  # those that read outputs of neighbours
LARGEST_SEED = 2**63 - 1  # the largest that all libraries' generators accept
LARGEST_WIDTH = 2**20  # of a layer: the number of weights of a wider one would overflow
STUDENT_KINDS: tuple[StudentKind, ...] = get_args(StudentKind)


def check_amount(name: str, value: float) -> None:
    """Checks that a value is finite and not negative.

    Raises:
        TrainingError: it is below 0, infinite or NaN.
    """
    if not (math.isfinite(value) and value >= 0):
        raise TrainingError(f"{name} must be a number of at least 0, not {value}")


def check_whole(name: str, value: object, least: int, most: int | None = None) -> None:
    """Checks that a value is a whole number in its range; notebooks may pass other types.

    Raises:
        TrainingError: it is not a whole number, or out of its range.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | np.integer)
        or value < least
        or (most is not None and value > most)
    ):
        upper = "" if most is None else f" and at most {most}"
        raise TrainingError(f"{name} must be a whole number of at least {least}{upper}: {value!r}")


def check_word(name: str, value: object, words: Collection[str]) -> None:
    """Checks that a value is one of the allowed words.

    Raises:
        TrainingError: it is not.
    """
    if value not in words:
        raise TrainingError(f"{name} must be {' or '.join(words)}, not {value!r}")


@dataclass(frozen=True, slots=True)
class StudentConfig:
    kind: str = "sage"  # one of STUDENT_KINDS, or registered (`training.student.network`)
    layers: int = 2  # message-passing layers
    hidden: int = 256  # width of every hidden activation
    heads: int = 4  # GAT only; each has hidden / heads channels
    dropout: float = 0.5  # probability, on every activation
    input_dropout: float = 0.0  # probability, on the features, or on the bag of n-grams
    residual: bool = True  # adds a layer's input to its output
    normalization: Normalization = "layer"  # after the input and after every layer

    def __post_init__(self) -> None:
        for name in ("layers", "hidden", "heads"):
            check_whole(name, getattr(self, name), 1)
        check_whole("hidden", self.hidden, 1, LARGEST_WIDTH)
        check_word("normalization", self.normalization, get_args(Normalization))
        if not (0 <= self.dropout < 1 and 0 <= self.input_dropout < 1):
            raise TrainingError("dropout and input_dropout must be at least 0 and below 1")
        if self.kind == "gat" and self.hidden % self.heads:
            raise TrainingError(
                f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})"
            )


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    epochs: int = 200  # maximum; full-batch optimiser steps
    patience: int = 40  # epochs without a better validation accuracy before training stops
    learning_rate: float = 3e-3  # of AdamW
    weight_decay: float = 1e-2  # of AdamW
    seed: int = 0
    batch_size: int = 0  # seeds per step; 0 takes the whole graph at once
    fanout: int = 10  # neighbours drawn per node and hop, in batches
    device: str = AUTO  # see `training.devices`
    precision: StudentPrecision = "float32"  # of the student's own products, not of its weights

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "fanout"):
            check_whole(name, getattr(self, name), 1)
        for name in ("learning_rate", "weight_decay"):
            check_amount(name, getattr(self, name))
        check_whole("batch_size", self.batch_size, 0)
        check_whole("seed", self.seed, 0, LARGEST_SEED)
        check_device(self.device)
        check_word("precision", self.precision, get_args(StudentPrecision))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that results depend on, as JSON. The device is left out, and so is the
        default precision, so that earlier results are still recognised.
        """
        kept = asdict(self)
        del kept["device"]
        if self.precision == "float32":
            del kept["precision"]
        return kept


@dataclass(frozen=True, slots=True)
class ObjectiveOptions:
    """Constants of the objectives; their weights are configured separately."""

    temperature: float = 1.0  # of soft labels: kd, unlabeled and bd
    contrast_temperature: float = 0.07  # lingugkd, as published
    anchors: int = 1_024  # lingugkd: maximum number of nodes per step that are contrasted
    candidates: int = 32_768  # lingugkd: nodes a step to contrast them with, at most
    block: int = 512  # lingugkd: anchors whose scores are in memory at once
    projector_dropout: float = 0.1  # lingugkd: probability
    subclasses: int = 4  # lelp: number per class
    subclass_temperature: float = 1.0  # lelp, in standard deviations
    frequency_temperature: float = 1.0  # ff, in nats
    pairs: int = 262_144  # ff: maximum number of edges per step
    mixup_alpha: float = 0.4  # mixup: both parameters of the Beta distribution of shares

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise TrainingError(f"temperature must be a number above 0, not {self.temperature}")


STUDENT, TRAINING, CONSTANTS = StudentConfig(), TrainingConfig(), ObjectiveOptions()  # defaults


@dataclass(frozen=True, slots=True)
class DistillOptions:
    encoder: str = "minilm"
    encoder_path: Path | None = None
    student: StudentConfig = field(default_factory=StudentConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    teacher: Path | None = None  # a teacher folder
    view: str | None = None  # of the teacher; None takes the best on validation
    compare: bool = False  # also trains simpler candidates; keeps the best on validation
    objectives: Mapping[str, float] = field(default_factory=dict)  # weights; empty: see `recipes`
    constants: ObjectiveOptions = field(default_factory=ObjectiveOptions)
    auto_accuracy: float = 0.95  # target accuracy of the student's own answers under `route: auto`
    fitting: bool = False  # switch to batches if the whole graph does not fit into memory
    start: Path | None = None  # a student folder whose weights training starts from

    def __post_init__(self) -> None:
        if not 0 <= self.auto_accuracy <= 1:
            raise TrainingError(f"auto_accuracy must be from 0 to 1, not {self.auto_accuracy}")
        if self.view is not None and self.teacher is None:
            raise TrainingError("--view needs a teacher; give its folder with --teacher")
        if self.compare and self.teacher is None:
            raise TrainingError("--compare needs a teacher; give its folder with --teacher")

    def inputs(self, graph: Path) -> list[Path]:
        """Files and folders that are read."""
        paths = (graph, self.teacher, self.encoder_path, self.start)
        return [path for path in paths if path is not None]


@dataclass(frozen=True, slots=True)
class DistillChoices:
    """A user's choices for a distillation, as command options or function arguments."""

    teacher: Path | None = None
    view: str | None = None
    compare: bool = False
    objectives: Mapping[str, float] = field(default_factory=dict)
    student: str = STUDENT.kind
    encoder: EncoderKind = "minilm"
    encoder_path: Path | None = None
    layers: int = STUDENT.layers
    hidden: int = STUDENT.hidden
    dropout: float = STUDENT.dropout
    input_dropout: float = STUDENT.input_dropout
    residual: bool = STUDENT.residual
    normalization: Normalization = STUDENT.normalization
    epochs: int = TRAINING.epochs
    patience: int = TRAINING.patience
    learning_rate: float = TRAINING.learning_rate
    weight_decay: float = TRAINING.weight_decay
    batch_size: int | None = None  # None: the whole graph if it fits into memory, otherwise batches
    fanout: int = TRAINING.fanout
    device: str = TRAINING.device
    precision: StudentPrecision = TRAINING.precision
    temperature: float = CONSTANTS.temperature
    auto_accuracy: float = 0.95
    seed: int = TRAINING.seed
    start: Path | None = None  # see `training.beginning.like_its_start`

    def options(self) -> DistillOptions:
        """Converts the choices to the program's options.

        Raises:
            TrainingError: a choice is out of its range, lacks another that it needs, or has no
                effect.
        """
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        values["batch_size"] = self.batch_size or 0

        def of(kind: type[StudentConfig] | type[TrainingConfig]) -> dict[str, Any]:
            names = (entry.name for entry in fields(kind))
            return {name: values[name] for name in names if name in values}

        options = DistillOptions(
            encoder=self.encoder,
            encoder_path=self.encoder_path,
            student=StudentConfig(kind=self.student, **of(StudentConfig)),
            training=TrainingConfig(**of(TrainingConfig)),
            teacher=self.teacher,
            view=self.view,
            compare=self.compare,
            objectives=self.objectives,
            constants=ObjectiveOptions(temperature=self.temperature),
            auto_accuracy=self.auto_accuracy,
            fitting=self.batch_size is None,
            start=self.start,
        )
        refuse_unread(self)
        return options


def refuse_unread(choices: DistillChoices) -> None:
    """Refuses a choice that would have no effect.

    Raises:
        TrainingError: names the choice, and what reads it.
    """
    others = set(OBJECTIVES) - set(SOFT)  # a plugin's objective may read anything
    named = [name for name, weight in choices.objectives.items() if weight and name not in others]
    soft = choices.teacher is not None and (named or not choices.objectives)
    if not is_heard(choices.objectives) and (choices.compare or choices.view is not None):
        raise TrainingError(
            f"{'compare' if choices.compare else 'view'} has no effect, since no objective with a "
            "weight above 0 uses the teacher; add one, such as unlabeled, or leave it out"
        )
    if choices.temperature != CONSTANTS.temperature and not soft:
        raise TrainingError(
            "temperature applies to a teacher's soft labels: it needs a teacher and, if objectives "
            f"are given, one of {', '.join(SOFT)}"
        )
    if choices.encoder_path is not None and choices.encoder == "hashing":
        raise TrainingError("encoder_path is for MiniLM, not for hashing; leave it out")
    if choices.fanout != TRAINING.fanout and choices.batch_size == 0:
        raise TrainingError(
            "fanout applies to batches, but batch_size 0 trains on the whole graph at once; leave "
            "one of them out"
        )


def reads_around(weights: Mapping[str, float]) -> bool:
    """Whether an objective reads outputs of neighbours; a plugin's objective may."""
    quiet = set(OBJECTIVES) - set(AROUND)
    return any(weight and name not in quiet for name, weight in weights.items())


def is_heard(weights: Mapping[str, float]) -> bool:
    """Whether an objective reads a teacher; without weights, the default ones do."""
    return not weights or any(w for name, w in weights.items() if name != LABELS)


def with_labels(weights: Mapping[str, float]) -> Mapping[str, float]:
    """The weights, with weight 1 for the labels unless they are given."""
    return {LABELS: 1.0, **weights}


def check_weights(weights: Mapping[str, float], known: Collection[str]) -> None:
    """Checks the weights of a loss.

    Raises:
        TrainingError: an unknown objective, a weight that is negative or not finite, or no weight
            above 0.
    """
    for name, weight in weights.items():
        if name not in known:
            raise TrainingError(f"unknown objective {name!r}; choose from {', '.join(known)}")
        if not (isinstance(weight, float | int) and math.isfinite(weight) and weight >= 0):
            raise TrainingError(f"the weight of {name!r} must be a number of at least 0: {weight}")
    if not any(weights.values()):
        raise TrainingError(
            "no objective has a weight above 0; give one to cross_entropy, or leave it out"
        )


@dataclass(frozen=True, slots=True)
class Epoch:
    loss: float  # nats per node, all terms
    train_accuracy: float
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class Training:
    """The training record; the student itself holds the best epoch's weights."""

    epochs: list[Epoch]
    best_epoch: int  # index into `epochs`
    seconds: float


Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name, in the order in which they were registered."""

    def __init__(self, kind: str) -> None:
        """Starts empty.

        Args:
            kind: of its entries, for messages: "student".
        """
        self.kind, self.entries = kind, dict[str, Entry]()

    def register(self, name: str, entry: Entry) -> None:
        """Adds an entry.

        Raises:
            TrainingError: the name is taken.
        """
        if name in self.entries:
            raise TrainingError(f"the {self.kind} {name!r} exists already; choose another name")
        self.entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            TrainingError: nothing is registered by that name.
        """
        if name not in self.entries:
            known = ", ".join(self.entries)
            raise TrainingError(
                f"unknown {self.kind} {name!r}; choose from {known}, or register it first "
                "(docs/guides/extending.md)"
            )
        return self.entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)
