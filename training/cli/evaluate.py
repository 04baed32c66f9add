"""`understudy evaluate`: the evaluation protocol on one graph."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from training.cli.distill import known_objectives, known_students
from training.cli.student_options import Device, Patience
from training.cli.student_options import Precision as StudentPrecision
from training.cli.teacher_options import TeacherFlags
from training.cli.unread_options import refuse_unread
from training.config import (
    ENCODER_KINDS,
    LABELS,
    STUDENT,
    TRAINING,
    EncoderKind,
    TrainingConfig,
)
from training.devices import check_device
from training.errors import EvaluationError
from training.evaluation.splits import OWN, check_own, check_splits
from training.evaluation.stored import check_begun
from training.evaluation.teachers import check_teacher
from training.recipe_names import LANGUAGE_FREE, recipe_names
from training.teacher.defaults import defaults_of, model_folder, reader_kind
from training.teacher.named import check_model
from training.teacher.readers import READERS, RENAMED
from understudy.command_line.common_options import GraphFolder
from understudy.command_line.given_options import given_options
from understudy.command_line.option_groups import with_options
from understudy.folders import check_output
from understudy.folders.kinds import EVALUATION
from understudy.graph.folder import read_meta
from understudy.graph.trainable import check_figures
from understudy.progress import terminal_progress

if TYPE_CHECKING:
    from training.evaluation.plan import EvaluationOptions

Names = tuple[str, ...]
# Options of a teacher → their names in the plan.
IN_PLAN = {
    "teacher": "teacher",
    "hops": "hops",
    "tokens": "prompts.tokens",
    "nested": "prompts.nested",
    "show_labels": "prompts.show_labels",
    "teacher_epochs": "tuning.epochs",
    "teacher_batch_size": "tuning.batch_size",
    "teacher_learning_rate": "tuning.learning_rate",
    "accumulate": "tuning.accumulate",
    "max_train_nodes": "tuning.max_train_nodes",
    "tuned_layers": "encoder.tuned_layers",
    "frozen": "encoder.frozen",
    "bf16": "encoder.bf16",
    "max_tokens": "causal.max_tokens",
    "scores": "causal.scores",
    "rank": "causal.rank",
    "four_bit": "causal.four_bit",
    "gradient_checkpointing": "causal.gradient_checkpointing",
    "tokens_per_batch": "tokens_per_batch",
}


@dataclass(frozen=True, slots=True)
class EvaluationFlags:
    """The options of `evaluate` beside those of its teacher; lists are separated by commas."""

    splits: Annotated[
        int, typer.Option(min=1, help="Number of splits; each gets a teacher of its own.")
    ] = 10
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of initialisations (seeds) per split.")
    ] = 2
    split_kind: Annotated[
        str,
        typer.Option(
            help="Kind of split: 60/20/20, 20-per-class, 5-per-class, or own (the graph's)."
        ),
    ] = "60/20/20"
    students: Annotated[
        str, typer.Option(help="Networks, separated by commas; by default all but mlp.")
    ] = ""
    encoders: Annotated[
        str, typer.Option(help="Text encoders, separated by commas; by default both.")
    ] = ""
    recipes: Annotated[
        str,
        typer.Option(
            help="Objectives and controls, separated by commas, see docs/concepts/accuracy.md; by "
            "default all."
        ),
    ] = ""
    trials: Annotated[
        int,
        typer.Option(
            min=0,
            help="Trials of the hyperparameter search on validation, the same number for every "
            "recipe.",
        ),
    ] = 0
    hidden: Annotated[
        int,
        typer.Option(min=1, help="Width of the hidden layers, unless --trials searches for it."),
    ] = STUDENT.hidden
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of a student's epochs.")] = (
        TRAINING.epochs
    )
    patience: Patience = TRAINING.patience
    teacher: Annotated[
        str,
        typer.Option(
            help="Teacher, named as in `understudy teach`; endpoints and students are refused."
        ),
    ] = "encoder"
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of tuning epochs.")
    ] = None
    teacher_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Prompts per tuning step.")
    ] = None
    teacher_learning_rate: Annotated[
        float | None, typer.Option(min=0, help="Peak learning rate of tuning.")
    ] = None
    nested: Annotated[
        bool | None,
        typer.Option(
            help="Whether a hop's description extends the previous hop's by one ring, or is "
            "written on its own."
        ),
    ] = None
    device: Device = TRAINING.device
    student_precision: StudentPrecision = TRAINING.precision
    processes: Annotated[
        int, typer.Option(min=1, help="Number of processes that share the splits and the cores.")
    ] = 1
    report_only: Annotated[
        bool,
        typer.Option(
            "--report-only", help="Run nothing; write the tables again from OUT's runs.parquet."
        ),
    ] = False


@with_options("shared", TeacherFlags)
@with_options("flags", EvaluationFlags)
def evaluate(
    context: typer.Context,
    graph: GraphFolder,
    out: Annotated[
        Path, typer.Argument(help="Folder of results; runs that it already holds are not repeated.")
    ],
    *,
    flags: EvaluationFlags,
    shared: TeacherFlags,
) -> None:
    """Compare students that a teacher taught with those trained without one, and with controls."""
    if flags.report_only and (unread := given_options(context, ("report_only",))):
        raise EvaluationError(f"--report-only runs nothing, so leave {', '.join(unread)} out")
    # Wrong options and paths are reported before the slow import of torch.
    check_options(context, flags, shared)
    teacher = shared.choices()
    names = chosen_names(flags)
    check_paths(graph, out, flags, teacher_settings(flags, shared))
    from training.terminal import load_libraries

    load_libraries("training.evaluation.evaluate")
    from training.evaluation.evaluate import evaluate as run_evaluate
    from training.evaluation.evaluate import report_again

    if flags.report_only:
        Console().print(f"report: {report_again(graph, out)}")
        return
    options = evaluation_options(flags, teacher, *names)
    if set(options.recipes) <= set(LANGUAGE_FREE) and (unread := teacher_options(context)):
        typer.echo(
            f"{', '.join(unread)}: no effect in this run, since none of its recipes asks a "
            "teacher; recipes that are added to OUT later will use it",
            err=True,
        )
    with terminal_progress() as progress:
        report = run_evaluate(graph, out, options, progress, flags.processes)
    Console().print(f"report: {report}")


def check_options(context: typer.Context, flags: EvaluationFlags, shared: TeacherFlags) -> None:
    """Refuses options that are wrong, or that the teacher does not read.

    Raises:
        TrainingError: names the option.
    """
    check_teacher(flags.teacher)
    check_splits(flags.split_kind, flags.splits)
    check_device(flags.device)
    readers = {RENAMED.get(name, name): kinds for name, kinds in READERS.items()}
    refuse_unread(context, reader_kind(flags.teacher, shared.frozen), readers)


def chosen_names(flags: EvaluationFlags) -> tuple[Names, Names, Names]:
    """Parses the networks, the text encoders and the recipes; networks may be empty.

    Raises:
        EvaluationError: a name is unknown.
    """
    recipes = recipe_names(name for name in known_objectives() if name != LABELS)
    return (
        parse_names(flags.students, known_students(), "student"),
        parse_names(flags.encoders, ENCODER_KINDS, "encoder") or ENCODER_KINDS,
        parse_names(flags.recipes, recipes, "recipe") or recipes,
    )


def teacher_settings(flags: EvaluationFlags, shared: TeacherFlags) -> dict[str, Any]:
    """The teacher's settings by their full names in the plan, with the defaults of its kind; an
    automatic precision, which depends on the hardware, is left out.
    """
    suited = {
        RENAMED.get(name, name): value for name, value in asdict(defaults_of(flags.teacher)).items()
    }
    chosen = asdict(flags) | shared.choices()
    values = {name: suited[name] if chosen[name] is None else chosen[name] for name in IN_PLAN}
    settings = {f"teacher.{IN_PLAN[name]}": value for name, value in values.items()}
    settings["teacher.encoder.max_tokens"] = values["tokens"]
    if shared.precision != "auto":
        settings["teacher.causal.precision"] = shared.precision
    return settings


def check_paths(graph: Path, out: Path, flags: EvaluationFlags, teacher: Mapping[str, Any]) -> None:
    """Refuses wrong paths, a graph that cannot be split as the options say, and other settings than
    those of the runs in `out`.

    Args:
        teacher: see `teacher_settings`.

    Raises:
        GraphError, TrainingError, FolderError: for the first problem.
    """
    meta = read_meta(graph)
    check_model(flags.teacher)
    check_output(out, EVALUATION, [graph, *model_folder(flags.teacher)])
    check_figures(graph, meta, ("train", "val") if flags.split_kind == OWN else ())
    if flags.split_kind == OWN:
        check_own(meta["name"], meta["splits"])
    if not flags.report_only:
        about = (flags.split_kind, flags.hidden, flags.trials, training_config(flags))
        check_begun(out, meta["content_hash"], *about, teacher)


def training_config(flags: EvaluationFlags) -> TrainingConfig:
    return TrainingConfig(
        epochs=flags.epochs,
        patience=flags.patience,
        device=flags.device,
        precision=flags.student_precision,
    )


def evaluation_options(
    flags: EvaluationFlags,
    teacher: Mapping[str, Any],
    students: Names,
    encoders: Names,
    recipes: Names,
) -> "EvaluationOptions":
    """Converts the options to those of the program.

    Args:
        teacher: see `TeacherFlags.choices`.
    """
    from training.evaluation.plan import EvaluationOptions
    from training.teacher.choices import TeacherChoices

    return EvaluationOptions(
        splits=flags.splits,
        seeds=flags.seeds,
        split_kind=flags.split_kind,
        students=students or EvaluationOptions().students,
        encoders=cast(tuple[EncoderKind, ...], encoders),
        recipes=recipes,
        hidden=flags.hidden,
        training=training_config(flags),
        teacher=TeacherChoices(
            teacher=flags.teacher,
            nested=flags.nested,
            epochs=flags.teacher_epochs,
            batch_size=flags.teacher_batch_size,
            learning_rate=flags.teacher_learning_rate,
            **teacher,
        ).options(),
        trials=flags.trials,
    )


def teacher_options(context: typer.Context) -> list[str]:
    """The teacher options that were given; they are read only if a recipe asks a teacher."""
    of_teacher = {"teacher", "nested", *(RENAMED.get(name, name) for name in READERS)}
    of_others = {name for name in context.params if name not in of_teacher}
    return given_options(context, of_others)


def parse_names(text: str, known: Names, kind: str) -> Names:
    """Parses a comma-separated list of known names.

    Raises:
        EvaluationError: a name is unknown; or only commas are given.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if text and not names:
        raise EvaluationError(
            f"--{kind}s {text!r} names no {kind}; choose from {', '.join(known)}, or leave it out"
        )
    for name in names:
        if name not in known:
            raise EvaluationError(f"unknown {kind} {name!r}; choose from {', '.join(known)}")
    return names
