"""The options of a teacher by their readers; `evaluate` has the first group, `teach` has all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from training.errors import TeacherError
from training.teacher.defaults import Precision, Scores
from training.teacher.hardness import check_order, read_hardness
from understudy.endpoint.options import Constraint, Thinking

if TYPE_CHECKING:
    from training.teacher.options import Budget


@dataclass(frozen=True, slots=True)
class TeacherFlags:
    """Fields of `training.teacher.choices.TeacherChoices`, whose import loads torch."""

    hops: Annotated[
        str,
        typer.Option(
            help="Hops to ask about, separated by commas; by default 0,1,2, and for an endpoint 2."
        ),
    ] = ""
    tokens: Annotated[
        int | None, typer.Option(min=8, help="Maximum number of tokens of a node's description.")
    ] = None
    show_labels: Annotated[
        bool, typer.Option(help="Show neighbours' training labels in prompts.")
    ] = True
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of parts that a training step's prompts are split into; more parts take "
            "less memory.",
        ),
    ] = 1
    max_train_nodes: Annotated[
        int,
        typer.Option(
            min=0, help="Maximum number of training nodes to tune a transformer on; 0: all."
        ),
    ] = 0
    tuned_layers: Annotated[
        int, typer.Option(min=0, help="Number of upper layers of an encoder to tune; 0: all.")
    ] = 0
    frozen: Annotated[
        bool, typer.Option("--frozen", help="Tune only an encoder's head: the cheapest teacher.")
    ] = False
    bf16: Annotated[
        bool,
        typer.Option(
            "--bf16", help="Run an encoder in bfloat16; faster if the hardware supports it."
        ),
    ] = False
    max_tokens: Annotated[
        int,
        typer.Option(
            min=64,
            help="Maximum number of tokens of a causal model's whole prompt, including all labels.",
        ),
    ] = 1_024
    precision: Annotated[
        Precision,
        typer.Option(
            help="Precision of a causal model; auto: bfloat16 if the hardware supports it."
        ),
    ] = "auto"
    scores: Annotated[
        Scores,
        typer.Option(
            help="How to score the labels of an untuned causal model: sum (log-likelihood), mean "
            "(log-likelihood per token), prior (log-likelihood minus that for an empty "
            "question); auto: the best on validation."
        ),
    ] = "auto"
    rank: Annotated[int, typer.Option(min=1, help="Rank of a causal model's adapters.")] = 64
    four_bit: Annotated[
        bool, typer.Option("--four-bit", help="Load a causal model with 4-bit weights; needs CUDA.")
    ] = False
    gradient_checkpointing: Annotated[
        bool,
        typer.Option(
            "--gradient-checkpointing",
            help="Recompute activations in the backward pass: less memory, more time.",
        ),
    ] = False
    tokens_per_batch: Annotated[
        int, typer.Option(min=1, help="Number of tokens in a batch of questions.")
    ] = 8_192

    def choices(self) -> dict[str, Any]:
        """The options by the field names of `TeacherChoices`.

        Raises:
            TeacherError: hops are not numbers.
        """
        return asdict(self) | {"hops": parse_hops(self.hops) if self.hops else None}


@dataclass(frozen=True, slots=True)
class BudgetFlags:
    """The limits of a run of `teach`, and which nodes come first under a limit."""

    max_nodes: Annotated[
        int, typer.Option(min=0, help="Maximum number of nodes to ask about; 0: all.")
    ] = 0
    budget: Annotated[
        int,
        typer.Option(min=0, help="Maximum number of questions, one per node and hop; 0: no limit."),
    ] = 0
    budget_money: Annotated[
        float,
        typer.Option(
            min=0,
            help="Maximum amount to spend, in the currency of --input-price and --output-price; 0: "
            "no limit.",
        ),
    ] = 0.0
    budget_choice: Annotated[
        Literal["uncertain", "random"] | None,
        typer.Option(
            help="Nodes to ask about first under a limit: uncertain (those that labels leave "
            "uncertain) or random; by default random with --max-nodes alone, else uncertain."
        ),
    ] = None
    budget_hard: Annotated[
        Path | None,
        typer.Option(
            help="JSON file that maps ids to numbers: how hard each node is. The hardest are asked "
            "about first, instead of those that labels leave uncertain."
        ),
    ] = None

    def hardness(self) -> dict[str, float]:
        """Id of a node → its difficulty; empty unless --budget-hard is given.

        Raises:
            TeacherError: an order is given without a limit, or in two ways; or the file of
                --budget-hard is invalid.
        """
        limited = bool(self.budget or self.budget_money or self.max_nodes)
        check_order(limited, self.budget_hard is not None, self.budget_choice)
        return {} if self.budget_hard is None else read_hardness(self.budget_hard)

    def budget_of(self, hard: Mapping[str, float]) -> "Budget":
        """The limits in the form that `teach` reads.

        Args:
            hard: see `hardness`.
        """
        from training.teacher.options import Budget

        uncertain = self.budget or self.budget_money or hard
        choice = self.budget_choice or ("uncertain" if uncertain else "random")
        return Budget(self.max_nodes, self.budget, self.budget_money, choice, hard)


@dataclass(frozen=True, slots=True)
class EndpointFlags:
    """The options of asking an endpoint."""

    concurrency: Annotated[
        int, typer.Option(min=1, help="Maximum number of concurrent requests to an endpoint.")
    ] = 8
    constraint: Annotated[
        Constraint,
        typer.Option(
            help="How an endpoint's answers are restricted to the labels; auto: in the best way "
            "that the server supports."
        ),
    ] = "auto"
    thinking: Annotated[
        Thinking,
        typer.Option(
            help="How an endpoint's thinking is turned off; wait: it is not; auto: in the best way "
            "that the server supports."
        ),
    ] = "auto"
    max_choices: Annotated[
        int,
        typer.Option(
            min=16,
            max=255,
            help="Maximum number of options in one question to a decision endpoint.",
        ),
    ] = 255
    input_price: Annotated[
        float, typer.Option(min=0, help="Price of a million prompt tokens, in any currency.")
    ] = 0.0
    output_price: Annotated[
        float, typer.Option(min=0, help="Price of a million answered tokens, in the same currency.")
    ] = 0.0

    @property
    def priced(self) -> bool:
        """Whether answers have a price."""
        return bool(self.input_price or self.output_price)

    def fields(self) -> dict[str, Any]:
        """The options by the field names of `training.teacher.endpoint.EndpointOptions`."""
        fields = asdict(self)
        fields["most_choices"] = fields.pop("max_choices")
        return fields


def parse_hops(text: str) -> tuple[int, ...]:
    """Parses distinct hops in ascending order, for example "0,1,2".

    Raises:
        TeacherError: the text is something else.
    """
    try:
        hops = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        hops = ()
    if not hops or hops[0] < 0:
        raise TeacherError(f"--hops must be numbers such as 0,1,2, not {text!r}")
    return hops
