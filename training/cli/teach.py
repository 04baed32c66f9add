"""`understudy teach`: tune a language model on a graph and ask it about every node."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.cli.teacher_options import BudgetFlags, EndpointFlags, TeacherFlags
from training.cli.teacher_table import show_teacher
from training.cli.unread_options import refuse_unread
from training.cluster.places import teacher_place
from training.config import LARGEST_SEED
from training.errors import TeacherError
from training.teacher.defaults import model_folder, reader_kind
from training.teacher.named import check_model, parse_endpoint
from training.teacher.readers import READERS
from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.command_line.common_options import Force, GraphFolder
from understudy.command_line.next_step import beside, tell_next
from understudy.command_line.option_groups import with_options
from understudy.folders import check_output
from understudy.folders.kinds import TEACHER
from understudy.graph.folder import read_meta
from understudy.graph.readers.label_descriptions import read_label_descriptions
from understudy.graph.trainable import check_figures
from understudy.progress import terminal_progress


@with_options("asking", EndpointFlags)
@with_options("limits", BudgetFlags)
@with_options("shared", TeacherFlags)
def teach(
    context: typer.Context,
    graph: GraphFolder,
    out: Annotated[Path, typer.Argument(help="Teacher folder to write.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="Teacher: encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's "
            "folder or hub id; an endpoint as openai:URL#model, decisions:URL#model or "
            "systemone:URL#model, whose key is read from OPENAI_API_KEY; or a student's "
            "folder."
        ),
    ] = "encoder",
    label_descriptions: Annotated[
        Path | None,
        typer.Option(
            help="File with a line about each label for the prompts: CSV, JSON or JSON lines."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=0, help="Maximum number of tuning epochs.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts per tuning step.")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, help="Peak learning rate; by default 2e-5 for an encoder, else 2e-4."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=LARGEST_SEED, help="Random seed of tuning and of all random choices."
        ),
    ] = 0,
    test: Annotated[
        bool, typer.Option("--test", help="Also print test accuracy; do not choose anything by it.")
    ] = False,
    ray: Ray = "",
    workers: Workers = 0,
    force: Force = False,
    *,
    shared: TeacherFlags,
    limits: BudgetFlags,
    asking: EndpointFlags,
) -> None:
    """Tune a language model on a graph and ask it about every node; resumes after a kill."""
    # Wrong options and paths are reported before the slow import of torch.
    refuse_unread(context, reader_kind(teacher, shared.frozen), READERS)
    shared_choices = shared.choices()
    check_cluster(ray, workers)
    if limits.budget_money and not asking.priced:
        raise TeacherError("--budget-money needs --input-price, --output-price, or both")
    hard = limits.hardness()
    meta = read_meta(graph)
    check_model(teacher)
    names = meta["label_names"]
    described = label_descriptions and read_label_descriptions(label_descriptions, names)
    check_output(out, TEACHER, [graph, *model_folder(teacher)], force)
    check_figures(graph, meta)
    from training.terminal import load_libraries

    load_libraries("training.student_teacher")
    from training.student_teacher import teach as run_teach
    from training.teacher.choices import TeacherChoices

    choices = TeacherChoices(
        teacher=teacher,
        label_descriptions=described or (),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        budget=limits.budget_of(hard),
        endpoint=parse_endpoint(teacher, **asking.fields(), most_money=limits.budget_money),
        seed=seed,
        **shared_choices,
    )
    place_of = teacher_place(ray, workers, graph) if ray else nullcontext()
    with place_of as place, terminal_progress() as progress:
        info = run_teach(graph, out, choices.options(), progress, force, place)
    show_teacher(info, out, test, Console())
    tell_next("distill", graph, beside(out, "student"), "--teacher", out)
