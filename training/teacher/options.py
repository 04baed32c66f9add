"""What `teach` is asked to do."""

from dataclasses import dataclass, field

from training.teacher.causal import CausalOptions
from training.teacher.defaults import teacher_kind
from training.teacher.encoder import EncoderOptions
from training.teacher.endpoint import EndpointOptions
from training.teacher.extract import PART_PROMPTS
from training.teacher.tuning import TuningOptions
from understudy.graph.prompts import PromptOptions


@dataclass(frozen=True, slots=True)
class TeachOptions:
    # encoder, encoder:FOLDER, gemma, gguf:FILE, a folder or hub id, openai:URL#model
    teacher: str = "encoder"
    hops: tuple[int, ...] = (0, 1, 2)  # asked about
    prompts: PromptOptions = field(default_factory=PromptOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    causal: CausalOptions = field(default_factory=CausalOptions)
    endpoint: EndpointOptions | None = None  # for openai:… only
    max_nodes: int = 0  # asked about, drawn at random; 0 asks about all
    tokens_per_batch: int = 8_192  # of an extraction batch, padding included
    part_prompts: int = PART_PROMPTS  # answers that are written at once

    @property
    def kind(self) -> str:
        return teacher_kind(self.teacher)
