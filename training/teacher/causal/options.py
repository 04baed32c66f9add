"""The options of a causal teacher."""

from dataclasses import dataclass
from typing import get_args

from training.teacher.defaults import Precision

PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True, slots=True)
class CausalOptions:
    max_tokens: int = 1_024  # of a prompt including labels; the description is truncated
    precision: str = "auto"  # of weights and products; auto: bfloat16 with hardware support
    scores: str = "auto"  # how untuned labels compare, see `causal.scores`; tuned ones by their sum
    rank: int = 64  # of the adapters
    alpha: int = 32  # the adapters' scale is alpha / rank
    dropout: float = 0.1  # probability, of the adapters' input
    noise: float = 5.0  # NEFTune's alpha; 0 adds none
    four_bit: bool = False  # NF4 base weights; needs CUDA and bitsandbytes
    gradient_checkpointing: bool = False  # less memory for a third more time
