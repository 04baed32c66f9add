"""`understudy teach`: tune a language model on a graph and ask it about every node."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from training.cli.unread_options import ENCODERS, LOCAL, TUNED, refuse_unread
from training.errors import TeacherError
from training.teacher.answers.folder import TeacherInfo
from training.teacher.defaults import DEFAULTS, defaults_of, model_folder, teacher_kind
from understudy.folders import check_output
from understudy.folders.kinds import TEACHER
from understudy.graph.folder import read_meta
from understudy.graph.next_step import beside, tell_next
from understudy.graph.progress import terminal_progress

if TYPE_CHECKING:
    from training.teacher.endpoint import EndpointOptions

READERS = {
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
    "concurrency": ("endpoint",),
    "input_price": ("endpoint",),
    "output_price": ("endpoint",),
}


def teach(
    context: typer.Context,
    graph: Annotated[Path, typer.Argument(help="Graph folder, see `understudy data`.")],
    out: Annotated[Path, typer.Argument(help="Teacher folder to write.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or "
            "hub id, or openai:URL#model; a key is read from OPENAI_API_KEY."
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
    epochs: Annotated[int | None, typer.Option(min=0, help="Of tuning, at most.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Prompts a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="By default 2e-5 for an encoder, else 2e-4.")
    ] = None,
    max_train_nodes: Annotated[
        int, typer.Option(min=0, help="Training nodes to tune a transformer on; 0: all.")
    ] = 0,
    max_nodes: Annotated[int, typer.Option(min=0, help="Nodes to ask about; 0 asks all.")] = 0,
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
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Of a causal model; auto: bfloat16 where it is in hardware."),
    ] = "auto",
    scores: Annotated[
        Literal["auto", "sum", "mean", "prior"],
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
    input_price: Annotated[float, typer.Option(min=0, help="Of a million prompt tokens.")] = 0.0,
    output_price: Annotated[float, typer.Option(min=0, help="Of a million answered tokens.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace OUT also if it is another kind of folder."),
    ] = False,
) -> None:
    """Tune a language model on a graph and ask it about every node; resumes after a kill."""
    # Wrong options and paths are told before torch is imported, which takes seconds.
    kind = teacher_kind(teacher)
    refuse_unread(context, kind_of(kind, frozen), READERS)
    read_meta(graph)
    check_output(out, TEACHER, [graph, *model_folder(teacher)], force)
    from training.terminal import load_libraries

    load_libraries("training.teacher.teach")
    from training.teacher.causal import CausalOptions, precision_of
    from training.teacher.encoder import EncoderOptions
    from training.teacher.options import TeachOptions
    from training.teacher.teach import teach as run_teach
    from training.teacher.tuning import TuningOptions
    from understudy.graph.prompts import PromptOptions

    defaults = defaults_of(teacher)
    length = tokens or defaults.tokens
    options = TeachOptions(
        teacher=teacher,
        hops=parse_hops(hops) if hops else defaults.hops,
        prompts=PromptOptions(
            tokens=length, show_labels=show_labels, nested=defaults.nested, seed=seed
        ),
        tuning=TuningOptions(
            epochs=defaults.epochs if epochs is None else epochs,
            batch_size=batch_size or defaults.batch_size,
            accumulate=accumulate,
            learning_rate=defaults.learning_rate if learning_rate is None else learning_rate,
            max_train_nodes=max_train_nodes,
            seed=seed,
        ),
        encoder=EncoderOptions(
            max_tokens=length, tuned_layers=tuned_layers, frozen=frozen, bf16=bf16
        ),
        causal=CausalOptions(
            max_tokens=max_tokens,
            precision=precision_of(precision),
            scores=scores,
            rank=rank,
            four_bit=four_bit,
            gradient_checkpointing=gradient_checkpointing,
        ),
        endpoint=parse_endpoint(teacher, concurrency, input_price, output_price),
        max_nodes=max_nodes,
        tokens_per_batch=tokens_per_batch,
    )
    with terminal_progress() as progress:
        info = run_teach(graph, out, options, progress, force)
    show(info, out)
    tell_next("distill", graph, beside(out, "student"), "--teacher", out)


def kind_of(kind: str, frozen: bool) -> str:
    """What `refuse_unread` calls a teacher."""
    if kind not in DEFAULTS:
        return "registered"
    return "frozen encoder" if kind == "encoder" and frozen else kind


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


def parse_endpoint(
    teacher: str, concurrency: int, input_price: float, output_price: float
) -> "EndpointOptions | None":
    """The endpoint that openai:URL#model names; None for another kind of teacher.

    Raises:
        TeacherError: the address or the model is missing.
    """
    kind, _, address = teacher.partition(":")
    if kind != "openai":
        return None
    url, _, model = address.partition("#")
    if not url.startswith(("http://", "https://")) or not model:
        raise TeacherError(
            f"{teacher!r} is no endpoint; give openai:URL#model, for example "
            "openai:http://localhost:8000/v1#my-model"
        )
    from training.teacher.endpoint import EndpointOptions

    return EndpointOptions(
        url=url,
        model=model,
        key=os.environ.get("OPENAI_API_KEY", ""),
        concurrency=concurrency,
        input_price=input_price,
        output_price=output_price,
    )


def show(info: TeacherInfo, out: Path) -> None:
    """Prints the teacher's accuracy on validation and test, a hop at a time and all together."""
    from training.teacher.answers.views import view_names

    table = Table("prompts", "validation accuracy", "test accuracy", title=str(out))
    for view in view_names(info.metrics):
        keys = [f"{split}_accuracy_{view}" for split in ("val", "test")]
        if any(key in info.metrics for key in keys):
            values = [info.metrics.get(key) for key in keys]
            table.add_row(view, *("" if value is None else f"{value:.3f}" for value in values))
    console = Console()
    console.print(table)
    if "requests" in info.metrics:
        names = ("requests", "retries", "input_tokens", "output_tokens", "cost")
        console.print("; ".join(f"{name}: {info.metrics[name]:g}" for name in names))
