"""`understudy plan`: estimates every stage on a graph before any of them is started."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from training.cli.student_options import Device, Encoder, Fanout, Hidden
from training.config import STUDENT_KINDS, DistillChoices, StudentConfig
from training.devices import check_device, found_device, free_on
from training.errors import TrainingError
from training.memory import free_bytes, graph_size
from training.plan_options import PlanOptions, check_plan_options
from training.teacher.defaults import LOCAL_KINDS, STUDENT_KIND, teacher_kind
from understudy.command_line.common_options import GraphFolder
from understudy.command_line.given_options import option_of, was_given
from understudy.command_line.printed_json import printed_json
from understudy.environment import processor
from understudy.graph.errors import UntrainableError
from understudy.graph.folder import read_meta
from understudy.graph.trainable import check_figures
from understudy.progress import step, terminal_progress

if TYPE_CHECKING:
    from training.plan import Stage

DEFAULTS = DistillChoices()
OF_ENDPOINTS = ("input_price", "output_price", "answers_a_second")
UNITS = ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min"), (0.0, "s"))


def plan(
    context: typer.Context,
    graph: GraphFolder,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Teacher, named as in `understudy teach`; by default students learn from labels "
            "alone."
        ),
    ] = None,
    students: Annotated[
        str, typer.Option(help=f"Networks, separated by commas: {', '.join(STUDENT_KINDS)}.")
    ] = DEFAULTS.student,
    encoder: Encoder = DEFAULTS.encoder,
    layers: Annotated[
        int, typer.Option(min=1, max=8, help="Number of layers of every student.")
    ] = DEFAULTS.layers,
    hidden: Hidden = DEFAULTS.hidden,
    epochs: Annotated[int, typer.Option(min=1, help="Number of epochs per student.")] = 100,
    budget: Annotated[
        int, typer.Option(min=0, help="Number of questions to the teacher; 0: every node and hop.")
    ] = 0,
    teacher_parameters: Annotated[
        float,
        typer.Option(
            min=0,
            help="Number of the teacher's parameters, such as 8e9, if neither its name nor its "
            "folder tells.",
        ),
    ] = 0.0,
    teacher_width: Annotated[
        int,
        typer.Option(min=0, help="Width of the teacher's features, in numbers per node and hop."),
    ] = 384,
    device: Device = DEFAULTS.device,
    workers: Annotated[int, typer.Option(min=1, help="Number of machines like this one.")] = 1,
    machine_price: Annotated[
        float, typer.Option(min=0, help="Price of one machine per hour, in any currency.")
    ] = 0.0,
    input_price: Annotated[
        float, typer.Option(min=0, help="Price of a million prompt tokens of an endpoint.")
    ] = 0.0,
    output_price: Annotated[
        float, typer.Option(min=0, help="Price of a million answered tokens of an endpoint.")
    ] = 0.0,
    answers_a_second: Annotated[
        float,
        typer.Option(min=0.001, help="Answers per second from an endpoint, over all requests."),
    ] = 8.0,
    batches: Annotated[
        bool,
        typer.Option(
            "--batches",
            help="Train in batches of sampled neighbours even if the whole graph fits into memory.",
        ),
    ] = False,
    fanout: Fanout = DEFAULTS.fanout,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the stages as JSON, with times in seconds and sizes in bytes."
        ),
    ] = False,
) -> None:
    """Estimate time, memory, disk and money of every stage from texts to bundles."""
    check_device(device)
    refuse_unread(context, teacher)
    size = graph_size(graph)
    kinds = student_kinds(students)
    options = PlanOptions(
        teacher=teacher,
        students=tuple(StudentConfig(kind, layers, hidden) for kind in kinds),
        hashed=encoder == "hashing",
        epochs=epochs,
        parameters=teacher_parameters,
        shown=teacher_width,
        questions=budget,
        workers=workers,
        machine_price=machine_price,
        input_price=input_price,
        output_price=output_price,
        answers_a_second=answers_a_second,
        batches=batches,
        fanout=fanout,
    )
    check_plan_options(options)
    tell_untrainable(graph)
    with terminal_progress() as progress, step(progress, "Measuring this machine"):
        from training.plan import advice, plan_stages

        found = found_device(device)
        options = replace(options, device=str(found))
        stages = plan_stages(size, options, free_on(found) or free_bytes())
    if was_given(context, "fanout") and not any("in batches" in s.remark for s in stages):
        typer.echo(
            f"--fanout {fanout} has no effect: every student trains on the whole graph; see "
            "--batches",
            err=True,
        )
    if as_json:
        typer.echo(printed_json([asdict(stage) for stage in stages]))
        return
    title = f"{graph}: {size.nodes:,} nodes, {size.edges:,} edges, {size.classes:,} classes"
    console = Console()
    console.print(title, soft_wrap=True, markup=False, highlight=False)
    console.print(stage_table(stages, options))
    for line in (*assumptions(options), *(f"choose: {line}" for line in advice(stages, options))):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def tell_untrainable(graph: Path) -> None:
    """Warns if the graph cannot be trained on yet: a plan may be made before it has labels."""
    try:
        check_figures(graph, read_meta(graph))
    except UntrainableError as error:
        typer.echo(f"note: teach and distill would refuse this graph: {error}", err=True)


def refuse_unread(context: typer.Context, teacher: str | None) -> None:
    """Refuses options of a teacher if there is none, or it is of another kind.

    Raises:
        TrainingError: names the options, and what would read them.
    """
    kind = "" if teacher is None else teacher_kind(teacher)
    for parameters, kinds, reader in (
        (OF_ENDPOINTS, ("endpoint",), "an endpoint"),
        (("teacher_parameters",), (*LOCAL_KINDS, "causal"), "a language model that runs here"),
        (("budget",), (*LOCAL_KINDS, "causal", "endpoint"), "a language model"),
        (
            ("teacher_width",),
            (*LOCAL_KINDS, "causal", STUDENT_KIND),
            "a teacher that shows features",
        ),
    ):
        unread = [option_of(context, name) for name in parameters if was_given(context, name)]
        if unread and kind not in kinds:
            raise TrainingError(f"{', '.join(unread)}: needs {reader} as --teacher; leave it out")


def student_kinds(words: str) -> list[str]:
    """Parses a comma-separated list of networks, without duplicates.

    Raises:
        TrainingError: one is unknown.
    """
    kinds = list(dict.fromkeys(word.strip() for word in words.split(",")))
    for kind in kinds:
        if kind not in STUDENT_KINDS:
            raise TrainingError(f"--students {words}: choose from {', '.join(STUDENT_KINDS)}")
    return kinds


def stage_table(stages: Sequence["Stage"], options: PlanOptions) -> Table:
    shared = [f"on {options.workers} workers"] if options.workers > 1 else []
    table = Table("stage", "time", *shared, "memory", "disk", "money", "")
    for stage in stages:
        together = [duration(stage.workers_seconds)] if shared else []
        sizes = amount(stage.memory), amount(stage.disk)
        money = f"{stage.money:,.2f}"
        table.add_row(stage.name, duration(stage.seconds), *together, *sizes, money, stage.remark)
    return table


def amount(count: float) -> str:
    """Formats bytes in a suitable unit."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"


def duration(seconds: float) -> str:
    """Formats a duration in the largest unit that gives at least one."""
    least, unit = next(pair for pair in UNITS if seconds >= pair[0])
    return f"{seconds / (least or 1):,.1f} {unit}"


def assumptions(options: PlanOptions) -> list[str]:
    return [
        f"measured: matrix products on {processor()}; an epoch of each network on a random graph "
        f"on {options.device}",
        f"assumed: {options.epochs} epochs per student; time grows with nodes and edges; a teacher "
        "and a text encoder run as fast as those products; tuning the teacher is not counted",
    ]
