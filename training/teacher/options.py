"""The options of `teach`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from training.config import check_amount, check_whole, check_word
from training.errors import TrainingError
from training.teacher.causal import CausalOptions
from training.teacher.defaults import STUDENT_KIND, teacher_kind
from training.teacher.encoder import EncoderOptions
from training.teacher.endpoint import EndpointOptions
from training.teacher.extract import PART_PROMPTS
from training.teacher.hardness import digest_of
from training.teacher.tuning import TuningOptions
from understudy.graph.prompts import PromptOptions

Choice = Literal["uncertain", "random"]
LEAST_TOKENS = 8  # of a node's description
MOST_HOPS = 8  # in a prompt: a student has no more layers


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a run; 0 is no limit."""

    nodes: int = 0  # number asked about
    calls: int = 0  # questions; one per node and hop, fewer if a node's hops ask the same
    money: float = 0.0  # in the currency of the prices, estimated in advance
    choice: Choice = "random"  # of the nodes; random is the control
    # Id → difficulty, used instead of the labels' uncertainty; empty if not given.
    hard: Mapping[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in ("nodes", "calls"):
            check_whole(f"the budget's {name}", getattr(self, name), 0)
        check_amount("the budget's money", self.money)
        check_word("the budget's choice", self.choice, get_args(Choice))

    @property
    def limited(self) -> bool:
        return bool(self.nodes or self.calls or self.money)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that answers depend on, as JSON."""
        if not self.limited:
            return {"max_nodes": self.nodes}
        names = ("nodes", "calls", "money", "choice")
        limits = {name: getattr(self, name) for name in names}
        order = {"hard": digest_of(self.hard)} if self.hard else {}
        return {"max_nodes": self.nodes, "budget": limits | order}


@dataclass(frozen=True, slots=True)
class TeachOptions:
    # encoder, encoder:FOLDER, gemma, gguf:FILE, a folder or hub id, or an endpoint,
    # openai:URL#model, decisions:URL#model, systemone:URL#model
    teacher: str = "encoder"
    hops: tuple[int, ...] = (0, 1, 2)  # asked about
    prompts: PromptOptions = field(default_factory=PromptOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    causal: CausalOptions = field(default_factory=CausalOptions)
    endpoint: EndpointOptions | None = None  # of an endpoint only
    budget: Budget = field(default_factory=Budget)  # without limits, all nodes are asked about
    tokens_per_batch: int = 8_192  # of an extraction batch, including padding
    part_prompts: int = PART_PROMPTS  # answers per part

    def __post_init__(self) -> None:
        for hop in self.hops:
            check_whole("a hop", hop, 0, MOST_HOPS)
        if not self.hops and self.kind != STUDENT_KIND:
            raise TrainingError("hops must contain at least one number, such as 0, 1 and 2")
        check_whole("tokens", self.prompts.tokens, LEAST_TOKENS)
        check_whole("tokens_per_batch", self.tokens_per_batch, 1)
        check_whole("tuned_layers", self.encoder.tuned_layers, 0)
        check_whole("rank", self.causal.rank, 1)

    @property
    def kind(self) -> str:
        return teacher_kind(self.teacher)
