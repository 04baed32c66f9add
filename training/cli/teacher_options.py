"""The options of a teacher that `teach` and `evaluate` share."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from training.errors import TeacherError
from training.teacher.defaults import Precision, Scores


@dataclass(frozen=True, slots=True)
class TeacherFlags:
    """Fields of `training.teacher.choices.TeacherChoices`, whose import loads torch."""

    hops: Annotated[
        str, typer.Option(help="Hops to ask about; by default 0,1,2, of an endpoint 2.")
    ] = ""
    tokens: Annotated[int | None, typer.Option(min=8, help="Of a node's description.")] = None
    show_labels: Annotated[
        bool, typer.Option(help="Show neighbours' training labels in prompts.")
    ] = True
    accumulate: Annotated[
        int, typer.Option(min=1, help="Parts that a step reads its prompts in: less memory.")
    ] = 1
    max_train_nodes: Annotated[
        int, typer.Option(min=0, help="Training nodes to tune a transformer on; 0: all.")
    ] = 0
    tuned_layers: Annotated[
        int, typer.Option(min=0, help="Upper layers of an encoder to tune; 0 tunes all.")
    ] = 0
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Tune an encoder's head alone: the cheapest teacher.")
    ] = False
    bf16: Annotated[
        bool, typer.Option("--bf16", help="An encoder in bfloat16: faster where in hardware.")
    ] = False
    max_tokens: Annotated[
        int, typer.Option(min=64, help="Of a causal model's whole prompt, all labels in it.")
    ] = 1_024
    precision: Annotated[
        Precision, typer.Option(help="Of a causal model; auto: bfloat16 where it is in hardware.")
    ] = "auto"
    scores: Annotated[
        Scores,
        typer.Option(
            help="How an untuned causal model's labels compare: by their likelihood, its mean over "
            "tokens, or less what a question about nothing gives; auto: the best on validation."
        ),
    ] = "auto"
    rank: Annotated[int, typer.Option(min=1, help="Of a causal model's adapters.")] = 64
    four_bit: Annotated[bool, typer.Option("--four-bit", help="4-bit weights, on CUDA.")] = False
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory for more time.")
    ] = False
    tokens_per_batch: Annotated[int, typer.Option(min=1, help="Of asking.")] = 8_192

    def choices(self) -> dict[str, Any]:
        """By the names of those fields.

        Raises:
            TeacherError: hops are no numbers.
        """
        return asdict(self) | {"hops": parse_hops(self.hops) if self.hops else None}


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
