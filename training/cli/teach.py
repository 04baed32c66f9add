"""`understudy teach`: tune a language model on a graph and ask it about every node."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from training.cli.teacher_table import show_teacher
from training.cli.unread_options import ENCODERS, ENDPOINTS, LOCAL, PROMPTED, TUNED, refuse_unread
from training.cluster.elsewhere import teacher_place
from training.config import LARGEST_SEED
from training.errors import TeacherError
from training.teacher.defaults import WIRES, Precision, Scores, model_folder, reader_kind
from training.teacher.hardness import check_order, read_hardness
from training.teacher.named import check_model
from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.endpoint.errors import AddressError
from understudy.endpoint.options import Constraint, Thinking, check_address
from understudy.folders import check_output
from understudy.folders.kinds import TEACHER
from understudy.graph.folder import read_meta
from understudy.graph.label_descriptions import read_label_descriptions
from understudy.graph.next_step import beside, tell_next
from understudy.graph.progress import terminal_progress
from understudy.graph.trainable import check_figures

if TYPE_CHECKING:
    from training.teacher.endpoint import EndpointOptions

READERS = {
    "hops": PROMPTED,
    "tokens": PROMPTED,
    "show_labels": PROMPTED,
    "max_nodes": PROMPTED,
    "budget": PROMPTED,
    "budget_choice": PROMPTED,
    "budget_hard": PROMPTED,
    "label_descriptions": ("causal", *ENDPOINTS),
    "epochs": TUNED,
    "batch_size": TUNED,
    "learning_rate": TUNED,
    "max_train_nodes": TUNED,
    "tuned_layers": ("encoder",),
    "frozen": ENCODERS,
    "bf16": ENCODERS,
    "accumulate": TUNED,
    "rank": ("causal",),
    "max_tokens": ("causal",),
    "precision": ("causal",),
    "scores": ("causal",),
    "four_bit": ("causal",),
    "gradient_checkpointing": ("causal",),
    "tokens_per_batch": LOCAL,
    "budget_money": ENDPOINTS,
    "concurrency": ENDPOINTS,
    "max_choices": ("decision endpoint",),
    "constraint": ("endpoint",),
    "thinking": ("endpoint",),
    "input_price": ENDPOINTS,
    "output_price": ENDPOINTS,
    "seed": PROMPTED,
    "ray": LOCAL,
    "workers": LOCAL,
}


def teach(
    context: typer.Context,
    graph: Annotated[Path, typer.Argument(help="Graph folder, see `understudy data`.")],
    out: Annotated[Path, typer.Argument(help="Teacher folder to write.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or "
            "hub id; an endpoint: openai:URL#model, decisions:URL#model or systemone:URL#model, "
            "with a key from OPENAI_API_KEY; or a student's folder."
        ),
    ] = "encoder",
    hops: Annotated[
        str, typer.Option(help="Hops to ask about; by default 0,1,2, of an endpoint 2.")
    ] = "",
    tokens: Annotated[int | None, typer.Option(min=8, help="Of a node's description.")] = None,
    max_tokens: Annotated[
        int, typer.Option(min=64, help="Of a causal model's whole prompt, all labels in it.")
    ] = 1_024,
    show_labels: Annotated[
        bool, typer.Option(help="Show neighbours' training labels in prompts.")
    ] = True,
    label_descriptions: Annotated[
        Path | None,
        typer.Option(help="A line about each label for the prompts; CSV, JSON or JSON lines."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=0, help="Of tuning, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="By default 2e-5 for an encoder, else 2e-4.")
    ] = None,
    max_train_nodes: Annotated[
        int, typer.Option(min=0, help="Training nodes to tune a transformer on; 0: all.")
    ] = 0,
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
    tuned_layers: Annotated[
        int, typer.Option(min=0, help="Upper layers of an encoder to tune; 0 tunes all.")
    ] = 0,
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Tune an encoder's head alone: the cheapest teacher.")
    ] = False,
    bf16: Annotated[
        bool,
        typer.Option("--bf16", help="An encoder in bfloat16: faster where in hardware."),
    ] = False,
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts that a step reads its prompts in: less memory.")
    ] = 1,
    precision: Annotated[
        Precision,
        typer.Option(help="Of a causal model; auto: bfloat16 where it is in hardware."),
    ] = "auto",
    scores: Annotated[
        Scores,
        typer.Option(
            help="How an untuned causal model's labels compare: by their likelihood, its mean over "
            "tokens, or less what a question about nothing gives; auto: the best on validation."
        ),
    ] = "auto",
    rank: Annotated[int, typer.Option(min=1, help="Of a causal model's adapters.")] = 64,
    four_bit: Annotated[bool, typer.Option("--four-bit", help="4-bit weights, on CUDA.")] = False,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory for more time.")
    ] = False,
    tokens_per_batch: Annotated[int, typer.Option(min=1, help="Of asking.")] = 8_192,
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
    refuse_unread(context, reader_kind(teacher, frozen), READERS)
    asked_hops = parse_hops(hops) if hops else None
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
        hops=asked_hops,
        tokens=tokens,
        show_labels=show_labels,
        label_descriptions=described or (),
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        max_train_nodes=max_train_nodes,
        budget=Budget(
            max_nodes,
            budget,
            budget_money,
            budget_choice or ("uncertain" if budget or budget_money or hard else "random"),
            hard,
        ),
        tuned_layers=tuned_layers,
        frozen=frozen,
        bf16=bf16,
        max_tokens=max_tokens,
        precision=precision,
        scores=scores,
        rank=rank,
        four_bit=four_bit,
        gradient_checkpointing=gradient_checkpointing,
        tokens_per_batch=tokens_per_batch,
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
    )
    place_of = teacher_place(ray, workers, graph) if ray else nullcontext()
    with place_of as place, terminal_progress() as progress:
        info = run_teach(graph, out, choices.options(), progress, force, place)
    show_teacher(info, out, test, Console())
    tell_next("distill", graph, beside(out, "student"), "--teacher", out)


def parse_hops(text: str) -> tuple[int, ...]:
    """Rising, distinct hops, for example "0,1,2".

    Raises:
        TeacherError: it is something else.
    """
    try:
        hops = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        hops = ()
    if not hops or hops[0] < 0:
        raise TeacherError(f"--hops must be numbers such as 0,1,2, not {text!r}")
    return hops


def parse_endpoint(teacher: str, **asking: Any) -> "EndpointOptions | None":
    """The endpoint that openai:URL#model or a decision endpoint's name means; else None.

    Args:
        asking: further fields of `EndpointOptions`.

    Raises:
        TeacherError: the address or the model is missing, or no request can be sent there.
    """
    kind, _, address = teacher.partition(":")
    if kind not in WIRES:
        return None
    url, _, model = address.partition("#")
    key = os.environ.get("OPENAI_API_KEY", "")
    try:
        check_address(url, key if model else "")
    except AddressError as error:
        if error.part == "key":
            raise TeacherError(f"OPENAI_API_KEY holds {error}") from error
        model = ""
    if not model:
        raise TeacherError(
            f"{teacher!r} is no endpoint; give {kind}:URL#model, for example "
            f"{kind}:http://localhost:8000/v1#my-model"
        )
    from training.teacher.endpoint import EndpointOptions

    return EndpointOptions(url=url, model=model, key=key, wire=WIRES[kind], **asking)
