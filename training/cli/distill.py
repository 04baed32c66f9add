"""`understudy distill`: train a student network on a graph, from labels and from a teacher."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from training.beginning import TAKEN, like_its_start
from training.cli.student_options import (
    Device,
    Encoder,
    Fanout,
    Hidden,
    Patience,
    Precision,
)
from training.cluster.places import check_shared_batch_size, check_shared_device, student_place
from training.config import (
    LABELS,
    OBJECTIVES,
    STUDENT_KINDS,
    DistillChoices,
    Normalization,
    check_weights,
    is_heard,
    with_labels,
)
from training.devices import check_device
from training.errors import TrainingError
from training.teacher.answers.folder import check_graph, read_info
from training.teacher.named import check_encoder_path
from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.command_line.common_options import EncoderPath, Force, GraphFolder
from understudy.command_line.given_options import was_given
from understudy.command_line.next_step import beside, tell_next
from understudy.command_line.option_groups import with_options
from understudy.folders import check_output
from understudy.folders.kinds import STUDENT
from understudy.graph.folder import read_meta
from understudy.graph.trainable import check_figures
from understudy.plugins import VARIABLE, plugins
from understudy.progress import step, terminal_progress

DEFAULTS = DistillChoices()


@dataclass(frozen=True, slots=True)
class StudentFlags:
    """The fields of `training.config.DistillChoices` as options; `chosen` converts them."""

    teacher: Annotated[
        Path | None, typer.Option(help="Teacher folder, see `understudy teach`.")
    ] = None
    view: Annotated[
        str | None,
        typer.Option(
            help="View of the teacher to learn from, as listed by `understudy teach`; by default "
            "the best on validation."
        ),
    ] = None
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Also train without the teacher and from simpler parts of its answers; keep the "
            "student that is best on validation.",
        ),
    ] = False
    objective: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Objective as name=weight; may be given several times: {', '.join(OBJECTIVES)}. "
            "cross_entropy (the labels) has weight 1 by default.",
        ),
    ] = None
    student: Annotated[
        str, typer.Option(help=f"Network: {', '.join(STUDENT_KINDS)}, or one that a plugin adds.")
    ] = DEFAULTS.student
    encoder: Encoder = DEFAULTS.encoder
    encoder_path: EncoderPath = None
    layers: Annotated[
        int, typer.Option(min=1, max=8, help="Number of layers; the student sees this many hops.")
    ] = DEFAULTS.layers
    hidden: Hidden = DEFAULTS.hidden
    dropout: Annotated[
        float, typer.Option(min=0, max=0.99, help="Dropout rate after each layer.")
    ] = DEFAULTS.dropout
    input_dropout: Annotated[
        float, typer.Option(min=0, max=0.99, help="Dropout rate of the input features.")
    ] = DEFAULTS.input_dropout
    residual: Annotated[bool, typer.Option(help="Add a layer's input to its output.")] = (
        DEFAULTS.residual
    )
    normalization: Annotated[
        Normalization, typer.Option(help="Normalization after each layer.")
    ] = DEFAULTS.normalization
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = DEFAULTS.epochs
    patience: Patience = DEFAULTS.patience
    learning_rate: Annotated[float, typer.Option(min=0, help="AdamW's learning rate.")] = (
        DEFAULTS.learning_rate
    )
    weight_decay: Annotated[float, typer.Option(min=0, help="AdamW's weight decay.")] = (
        DEFAULTS.weight_decay
    )
    batch_size: Annotated[
        str,
        typer.Option(
            help="Nodes per step, with sampled neighbours; 0: the whole graph; auto: the whole "
            "graph if it fits into memory, or 1,024 per worker with --ray."
        ),
    ] = "auto"
    fanout: Fanout = DEFAULTS.fanout
    device: Device = DEFAULTS.device
    precision: Precision = DEFAULTS.precision
    temperature: Annotated[
        float, typer.Option(min=0.01, help="Temperature of the teacher's soft labels.")
    ] = DEFAULTS.temperature
    auto_accuracy: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Target accuracy of the student's own answers; once it is reached, `route: auto` "
            "does not ask the teacher.",
        ),
    ] = DEFAULTS.auto_accuracy
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed of weights, dropout and batches.")
    ] = DEFAULTS.seed
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Student folder to start from; its weights, network and text encoder are taken "
            "over.",
        ),
    ] = None


@with_options("flags", StudentFlags)
def distill(
    context: typer.Context,
    graph: GraphFolder,
    out: Annotated[Path, typer.Argument(help="Student folder to write.")],
    *,
    flags: StudentFlags,
    ray: Ray = "",
    workers: Workers = 0,
    force: Force = False,
) -> None:
    """Train a student network on a graph; its epoch is chosen on validation."""
    check_student(flags.student)
    check_device(flags.device)
    check_cluster(ray, workers)
    choices = chosen(flags)
    if ray:
        check_shared_device(choices.device)
        check_shared_batch_size(choices.batch_size)
    check_paths(graph, out, choices, force)
    if choices.start is not None:
        choices = like_its_start(choices, [name for name in TAKEN if was_given(context, name)])
        shape = f"{choices.student}, {choices.layers} layers of {choices.hidden}"
        typer.echo(f"starting from the weights of {choices.start}: {shape}, {choices.encoder}")
    options = choices.options()
    with terminal_progress() as progress, step(progress, "Loading torch"):
        from training.distill import distill as run_distill
        from training.distill import placed

    encoder_path = choices.encoder_path
    shared = student_place(ray, workers, graph, out, encoder_path) if ray else nullcontext()
    with shared as place:
        options = placed(graph, options, lambda level, line: typer.echo(line), place)
        with terminal_progress() as progress:
            metrics = run_distill(graph, out, options, progress, force, place)
    show(metrics, out)
    if choices.teacher is not None:
        typer.echo(route_of(out))
        if not choices.compare and is_heard(choices.objectives):
            typer.echo(
                "to see whether the teacher helps, use --compare: it also trains without the "
                "teacher and keeps the best student"
            )
    own_encoder = ("--encoder-path", encoder_path) if encoder_path is not None else ()
    tell_next("export", out, beside(out, "bundle"), *own_encoder)


def chosen(flags: StudentFlags) -> DistillChoices:
    """Converts the options to the choices that the program and the Python interface share.

    Raises:
        TrainingError: see `parse_batch_size` and `parse_objectives`.
    """
    values = {entry.name: getattr(flags, entry.name) for entry in fields(flags)}
    objectives = parse_objectives(values.pop("objective") or [])
    values["batch_size"] = parse_batch_size(flags.batch_size)
    return DistillChoices(objectives=objectives, **values)


def known_students() -> tuple[str, ...]:
    """Names of all student kinds; torch is loaded only if there are plugins."""
    if not plugins():
        return STUDENT_KINDS
    from training.student.network import STUDENTS

    return tuple(STUDENTS)


def known_objectives() -> tuple[str, ...]:
    """Names of all objectives; torch is loaded only if there are plugins."""
    if not plugins():
        return OBJECTIVES
    from training.losses.objectives import MAKERS

    return (LABELS, *MAKERS)


def check_student(kind: str) -> None:
    """Refuses an unknown network before anything is read.

    Raises:
        TrainingError: it is neither built in nor registered by a plugin.
    """
    if kind not in known_students():
        raise TrainingError(
            f"--student {kind}: choose from {', '.join(known_students())}; "
            f"docs/guides/extending.md says how to add one with {VARIABLE}"
        )


def check_paths(graph: Path, out: Path, choices: DistillChoices, force: bool) -> None:
    """Refuses wrong paths and a graph that is too small, before the slow import of torch.

    Raises:
        GraphError, TrainingError, FolderError: for the first invalid path.
    """
    meta = read_meta(graph)
    if choices.teacher is not None:
        teacher = read_info(choices.teacher)
        check_graph(choices.teacher, teacher, meta["name"], meta["content_hash"])
    if choices.encoder_path is not None:
        check_encoder_path(choices.encoder_path)
    inputs = (graph, choices.teacher, choices.encoder_path, choices.start)
    check_output(out, STUDENT, [path for path in inputs if path is not None], force)
    check_figures(graph, meta)


def show(metrics: Mapping[str, float], out: Path) -> None:
    """Prints the comparison on validation, if there was one, and the kept student's metrics."""
    from training.recipes import TITLES
    from training.student.checkpoint import read_calibration

    console = Console()
    compared = {name: metrics[key] for name in TITLES if (key := f"val_accuracy_{name}") in metrics}
    if compared:
        table = Table("trained", "validation accuracy", title="compared")
        kept = max(compared, key=lambda name: compared[name])
        for name, accuracy in compared.items():
            mark = " (kept)" if name == kept else ""
            table.add_row(f"{TITLES[name]}{mark}", f"{accuracy:.3f}")
        console.print(table)
    table = Table("split", "accuracy", "macro-F1", "calibration error", title=str(out))
    for name in ("train", "val", "test"):
        if f"{name}_accuracy" in metrics:
            keys = (f"{name}_{key}" for key in ("accuracy", "macro_f1", "calibration_error"))
            table.add_row(name, *(f"{metrics[key]:.3f}" for key in keys))
    console.print(table)
    temperature = read_calibration(out / "calibration.json").temperature
    typer.echo(
        "calibration errors are those before calibration; the service divides logits by "
        f"{temperature:.3g}"
    )


def route_of(out: Path) -> str:
    """A one-line summary of what `route: auto` will do."""
    from training.student.checkpoint import read_calibration

    return read_calibration(out / "calibration.json").deferral.summary


def parse_batch_size(word: str) -> int | None:
    """Parses the number of nodes per step; None for auto.

    Raises:
        TrainingError: it is neither auto nor a number of at least 0.
    """
    if word == "auto":
        return None
    if not word.isdecimal():
        raise TrainingError(f"--batch-size must be auto or a number of at least 0, not {word!r}")
    return int(word)


def parse_objectives(words: list[str]) -> dict[str, float]:
    """Parses weights by name, from words such as kd=0.5; a name alone has weight 1.

    Raises:
        TrainingError: a weight is not a number, or below 0; an objective is unknown, or given
            twice.
    """
    weights: dict[str, float] = {}
    for word in words:
        name, _, weight = word.partition("=")
        if name in weights:
            raise TrainingError(f"--objective {name} is given twice")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise TrainingError(f"--objective must be like kd=0.5, not {word!r}") from None
    if weights:
        check_weights(with_labels(weights), known_objectives())
    return weights
