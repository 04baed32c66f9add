"""The options of a refresh, and the options that it passes to the commands it runs."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.bundle import Manifest
from understudy.retraining.errors import RefreshError

LABELS = "cross_entropy"  # the only objective without a teacher
PRECISIONS = ("int8", "fp16")  # further precisions of the student in a bundle
LIMITS = ("--budget", "--budget-money")  # limits of questions; `--max-nodes` draws at random
ORDERS = ("--budget-choice", "--budget-hard")
TRAINING = ("patience", "learning_rate", "weight_decay", "fanout", "seed", "precision")


@dataclass(frozen=True, slots=True)
class RefreshOptions:
    """The options of `understudy.retraining.refresh_command`."""

    source: str
    bundle: Path
    work: Path
    student: Path | None = None
    teacher: str | None = None
    budget: int = 0
    teach_options: str = ""
    epochs: int | None = None
    device: str = "auto"
    encoder_path: Path | None = None
    tolerance: float = 0.5
    join_train: bool = True
    unchanged: bool = False
    reload: bool = True
    every_address: bool = False
    key: str | None = None
    timeout: float = 600.0

    @property
    def encoder(self) -> list[object]:
        """Options that locate the text encoder, for the commands that read texts."""
        return [] if self.encoder_path is None else ["--encoder-path", self.encoder_path]


def check_options(options: RefreshOptions) -> None:
    """Refuses contradictory options.

    Raises:
        RefreshError: names the option.
    """
    for name, amount in (("tolerance", options.tolerance), ("timeout", options.timeout)):
        if not math.isfinite(amount):  # no difference exceeds NaN
            raise RefreshError(f"--{name} must be a number, not {amount}")
    for name, value in (("budget", options.budget), ("teach-options", options.teach_options)):
        if value and options.teacher is None:
            raise RefreshError(f"--{name} needs a teacher; name one with --teacher")
    try:
        shlex.split(options.teach_options)
    except ValueError as error:
        raise RefreshError(f"--teach-options {options.teach_options!r}: {error}") from error


def asks_the_hard_ones(options: RefreshOptions) -> bool:
    """Whether the teacher is asked first about nodes that the served model is unsure of."""
    words = shlex.split(options.teach_options)
    options_given = {word.partition("=")[0] for word in words}
    limited = options.budget or options_given.intersection(LIMITS)
    return bool(limited) and not options_given.intersection(ORDERS)


def teach_words(options: RefreshOptions, hard: Path | None = None) -> list[object]:
    """Makes the options of `teach`.

    Args:
        hard: file with the hardness of each node.
    """
    words: list[object] = ["--teacher", options.teacher, *shlex.split(options.teach_options)]
    if options.budget:
        words += ["--budget", options.budget]
    return words if hard is None else [*words, "--budget-hard", hard]


def objectives_kept(config: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Drops objectives and view if the teacher is of another kind; distill's defaults then apply.

    An endpoint, for example, gives no features.

    Args:
        config: the student's config.json.
        kind: of the next student's teacher.
    """
    recorded = config.get("teacher") or {}
    if recorded.get("kind", kind) == kind:
        return config
    return {**config, "terms": {}, "objectives": {}, "teacher": None}


def distill_words(
    options: RefreshOptions, config: Mapping[str, Any], wanted: float, teacher: Path
) -> list[object]:
    """Makes the options of `distill`, equal to those of the student to start from.

    Args:
        config: that student's config.json.
        wanted: accuracy of its own answers under `route: auto`.
        teacher: folder of the teacher's answers, if there is a teacher.
    """
    training, shape, terms = config["training"], config["student"], config["terms"]
    words: list[object] = ["--epochs", options.epochs or training["epochs"]]
    words += ["--device", options.device]
    kept = {name: training[name] for name in TRAINING if name in training}
    for name, value in (kept | {n: shape[n] for n in ("dropout", "input_dropout")}).items():
        words += [f"--{name.replace('_', '-')}", value]
    if training.get("batch_size"):  # otherwise it was full-batch; the graph may have grown
        words += ["--batch-size", training["batch_size"]]
    words += ["--auto-accuracy", wanted]
    if options.teacher is not None:
        words += ["--teacher", teacher]
        recorded = config.get("teacher") or {}
        if recorded.get("view_named"):  # otherwise the best view on validation is chosen again
            words += ["--view", recorded["view"]]
        if terms.keys() - {LABELS}:  # otherwise that student had no teacher
            for name, weight in terms.items():
                words += ["--objective", f"{name}={weight}"]
        if (temperature := config.get("objectives", {}).get("temperature", 1.0)) != 1.0:
            words += ["--temperature", temperature]
    return [*words, *options.encoder]


def export_words(options: RefreshOptions, served: Manifest) -> list[object]:
    """Makes the options of `export`, equal to those of the served bundle."""
    from understudy.bundle.student import variant_folder

    words: list[object] = ["--name", served.name, *options.encoder]
    if served.encoder.precision == "fp32":
        words += ["--encoder-precision", "fp32"]
    for precision in PRECISIONS:
        if variant_folder(precision) in served.variants:
            words += ["--student-precision", precision]
    return words
