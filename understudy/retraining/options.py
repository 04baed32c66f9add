"""The options of a refresh, and those that it passes on to the commands it runs."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.bundle import Manifest
from understudy.retraining.errors import RefreshError

LABELS = "cross_entropy"  # the one objective that needs no teacher
PRECISIONS = ("int8", "fp16")  # that a bundle may also hold the student in
LIMITS = ("--budget", "--budget-money")  # of what a teacher is asked; `--max-nodes` draws at random
ORDERS = ("--budget-choice", "--budget-hard")
TRAINING = ("patience", "learning_rate", "weight_decay", "fanout", "seed", "precision")


@dataclass(frozen=True, slots=True)
class RefreshOptions:
    """What a person may say; see `understudy.retraining.refresh_command`."""

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
        """Where the text encoder is, for the commands that read texts."""
        return [] if self.encoder_path is None else ["--encoder-path", self.encoder_path]


def check_options(options: RefreshOptions) -> None:
    """Refuses what contradicts itself.

    Raises:
        RefreshError: naming the option.
    """
    for name, amount in (("tolerance", options.tolerance), ("timeout", options.timeout)):
        if not math.isfinite(amount):  # of NaN points, nothing would be worse
            raise RefreshError(f"--{name} must be a number, not {amount}")
    for name, said in (("budget", options.budget), ("teach-options", options.teach_options)):
        if said and options.teacher is None:
            raise RefreshError(f"--{name} is a teacher's; name one with --teacher")
    try:
        shlex.split(options.teach_options)
    except ValueError as error:
        raise RefreshError(f"--teach-options {options.teach_options!r}: {error}") from error


def asks_the_hard_ones(options: RefreshOptions) -> bool:
    """Whether what the served model is unsure of decides whom the teacher is asked about."""
    words = shlex.split(options.teach_options)
    said = {word.partition("=")[0] for word in words}
    limited = options.budget or said.intersection(LIMITS)
    return bool(limited) and not said.intersection(ORDERS)


def teach_words(options: RefreshOptions, hard: Path | None = None) -> list[object]:
    """How the teacher is taught.

    Args:
        hard: file that says how hard each node is.
    """
    words: list[object] = ["--teacher", options.teacher, *shlex.split(options.teach_options)]
    if options.budget:
        words += ["--budget", options.budget]
    return words if hard is None else [*words, "--budget-hard", hard]


def objectives_kept(config: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """The same, without its objectives and the view where they are another kind of teacher's: then
    distill says.

    An endpoint, for one, shows no features.

    Args:
        config: what config.json says of a student.
        kind: of the teacher that the next one hears.
    """
    heard = config.get("teacher") or {}
    if heard.get("kind", kind) == kind:
        return config
    return {**config, "terms": {}, "objectives": {}, "teacher": None}


def distill_words(
    options: RefreshOptions, config: Mapping[str, Any], wanted: float, teacher: Path
) -> list[object]:
    """As the student was trained that is begun with.

    Args:
        config: what config.json says of that student.
        wanted: accuracy of its own answers under `route: auto`.
        teacher: folder of its answers, where one was asked.
    """
    training, shape, terms = config["training"], config["student"], config["terms"]
    words: list[object] = ["--epochs", options.epochs or training["epochs"]]
    words += ["--device", options.device]
    said = {name: training[name] for name in TRAINING if name in training}
    for name, value in (said | {n: shape[n] for n in ("dropout", "input_dropout")}).items():
        words += [f"--{name.replace('_', '-')}", value]
    if training.get("batch_size"):  # else the whole graph was taken at once; it may have grown
        words += ["--batch-size", training["batch_size"]]
    words += ["--auto-accuracy", wanted]
    if options.teacher is not None:
        words += ["--teacher", teacher]
        heard = config.get("teacher") or {}
        if heard.get("view_named"):  # else the best on validation, whichever that is now
            words += ["--view", heard["view"]]
        if terms.keys() - {LABELS}:  # else that student had no teacher to hear
            for name, weight in terms.items():
                words += ["--objective", f"{name}={weight}"]
        if (temperature := config.get("objectives", {}).get("temperature", 1.0)) != 1.0:
            words += ["--temperature", temperature]
    return [*words, *options.encoder]


def export_words(options: RefreshOptions, served: Manifest) -> list[object]:
    """As the bundle was exported that is served."""
    from understudy.bundle.student import variant_folder

    words: list[object] = ["--name", served.name, *options.encoder]
    if served.encoder.precision == "fp32":
        words += ["--encoder-precision", "fp32"]
    for precision in PRECISIONS:
        if variant_folder(precision) in served.variants:
            words += ["--student-precision", precision]
    return words
