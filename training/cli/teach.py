"""`understudy teach`: tune a language model on a graph and ask it about every node."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from training.cli.teacher_options import TeacherFlags
from training.cli.teacher_table import show_teacher
from training.cli.unread_options import refuse_unread
from training.cluster.places import teacher_place
from training.config import LARGEST_SEED
from training.errors import TeacherError
from training.teacher.defaults import model_folder, reader_kind
from training.teacher.hardness import check_order, read_hardness
from training.teacher.named import check_model, parse_endpoint
from training.teacher.readers import READERS
from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.endpoint.options import Constraint, Thinking
from understudy.folders import check_output
from understudy.folders.kinds import TEACHER
from understudy.graph.folder import read_meta
from understudy.graph.label_descriptions import read_label_descriptions
from understudy.graph.next_step import beside, tell_next
from understudy.graph.progress import terminal_progress
from understudy.graph.trainable import check_figures
from understudy.option_groups import with_options


@with_options("shared", TeacherFlags)
def teach(
    context: typer.Context,
    graph: Annotated[Path, typer.Argument(help="Graph folder, see `understudy data`.")],
    out: Annotated[Path, typer.Argument(help="Teacher folder to write.")],
    shared: TeacherFlags,
    teacher: Annotated[
        str,
        typer.Option(
            help="encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or "
            "hub id; an endpoint: openai:URL#model, decisions:URL#model or systemone:URL#model, "
            "with a key from OPENAI_API_KEY; or a student's folder."
        ),
    ] = "encoder",
    label_descriptions: Annotated[
        Path | None,
        typer.Option(help="A line about each label for the prompts; CSV, JSON or JSON lines."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=0, help="Of tuning, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="By default 2e-5 for an encoder, else 2e-4.")
    ] = None,
    max_nodes: Annotated[int, typer.Option(min=0, help="Nodes to ask about; 0 asks all.")] = 0,
    budget: Annotated[
        int, typer.Option(min=0, help="Questions to ask, a node and hop each; 0: no limit.")
    ] = 0,
    budget_money: Annotated[
        float, typer.Option(min=0, help="To spend, by the prices given; 0: no limit.")
    ] = 0.0,
    budget_choice: Annotated[
        Literal["uncertain", "random"] | None,
        typer.Option(
            help="Nodes asked about first: those that labels leave uncertain, or any; by default "
            "random of --max-nodes, else uncertain."
        ),
    ] = None,
    budget_hard: Annotated[
        Path | None,
        typer.Option(
            help="How hard each node is, in place of what labels leave uncertain: a JSON object "
            "from ids to numbers."
        ),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at a time.")] = 8,
    constraint: Annotated[
        Constraint,
        typer.Option(help="How an endpoint is held to the labels; auto: as the server can."),
    ] = "auto",
    thinking: Annotated[
        Thinking,
        typer.Option(help="How it is kept from thinking; wait lets it; auto: as the server can."),
    ] = "auto",
    max_choices: Annotated[
        int, typer.Option(min=16, max=255, help="Options a question, of a decision endpoint.")
    ] = 255,
    input_price: Annotated[float, typer.Option(min=0, help="Of a million prompt tokens.")] = 0.0,
    output_price: Annotated[float, typer.Option(min=0, help="Of a million answered tokens.")] = 0.0,
    seed: Annotated[
        int,
        typer.Option(min=0, max=LARGEST_SEED, help="Of tuning and of what is chosen at random."),
    ] = 0,
    test: Annotated[
        bool, typer.Option("--test", help="Print test accuracy, too; choose nothing by it.")
    ] = False,
    ray: Ray = "",
    workers: Workers = 0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace OUT also if it is another kind of folder."),
    ] = False,
) -> None:
    """Tune a language model on a graph and ask it about every node; resumes after a kill."""
    # Wrong options and paths are told before torch is imported, which takes seconds.
    refuse_unread(context, reader_kind(teacher, shared.frozen), READERS)
    given = shared.choices()
    check_cluster(ray, workers)
    if budget_money and not input_price and not output_price:
        raise TeacherError("--budget-money needs --input-price, --output-price, or both")
    limited = bool(budget or budget_money or max_nodes)
    check_order(limited, budget_hard is not None, budget_choice)
    hard = {} if budget_hard is None else read_hardness(budget_hard)
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
    from training.teacher.options import Budget

    choices = TeacherChoices(
        teacher=teacher,
        label_descriptions=described or (),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        budget=Budget(
            max_nodes,
            budget,
            budget_money,
            budget_choice or ("uncertain" if budget or budget_money or hard else "random"),
            hard,
        ),
        endpoint=parse_endpoint(
            teacher,
            concurrency=concurrency,
            constraint=constraint,
            thinking=thinking,
            input_price=input_price,
            output_price=output_price,
            most_money=budget_money,
            most_choices=max_choices,
        ),
        seed=seed,
        **given,
    )
    place_of = teacher_place(ray, workers, graph) if ray else nullcontext()
    with place_of as place, terminal_progress() as progress:
        info = run_teach(graph, out, choices.options(), progress, force, place)
    show_teacher(info, out, test, Console())
    tell_next("distill", graph, beside(out, "student"), "--teacher", out)
