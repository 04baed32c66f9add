"""What a student is and how it is trained."""

from dataclasses import dataclass
from typing import Literal, get_args

from training.errors import TrainingError

StudentKind = Literal["sage", "gcn", "gat", "gin", "mlp"]
Normalization = Literal["layer", "none"]
EncoderKind = Literal["minilm", "hashing"]
ENCODER_KINDS: tuple[EncoderKind, ...] = get_args(EncoderKind)
LABELS = "cross_entropy"  # the one objective that needs no teacher
OBJECTIVES = (LABELS, "kd", "unlabeled", "bd", "lingugkd", "nd", "lelp", "ff", "mixup")
STUDENT_KINDS: tuple[StudentKind, ...] = get_args(StudentKind)


@dataclass(frozen=True, slots=True)
class StudentConfig:
    kind: str = "sage"  # of STUDENT_KINDS, or registered (`training.student.kinds`)
    layers: int = 2  # message-passing layers
    hidden: int = 256  # width of every hidden activation
    heads: int = 4  # GAT only; each has hidden / heads channels
    dropout: float = 0.5  # probability, on every activation
    input_dropout: float = 0.0  # probability, on the features, or on the bag of n-grams
    residual: bool = True  # adds a layer's input to its output
    normalization: Normalization = "layer"  # after the input and after every layer

    def __post_init__(self) -> None:
        if self.layers < 1 or self.hidden < 1:
            raise TrainingError("a student needs layers >= 1 and hidden >= 1")
        if not (0 <= self.dropout < 1 and 0 <= self.input_dropout < 1):
            raise TrainingError("dropout and input_dropout must be at least 0 and below 1")
        if self.kind == "gat" and self.hidden % self.heads:
            raise TrainingError(
                f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})"
            )


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    epochs: int = 200  # full-batch optimiser steps, at most
    patience: int = 40  # epochs without a better validation accuracy before training stops
    learning_rate: float = 3e-3  # of AdamW
    weight_decay: float = 1e-2  # of AdamW
    seed: int = 0
    batch_size: int = 0  # seeds a step; 0 takes the whole graph at once
    fanout: int = 10  # neighbours drawn of a node and hop, in batches


@dataclass(frozen=True, slots=True)
class ObjectiveOptions:
    """Constants of the objectives; their weights are chosen apart."""

    temperature: float = 1.0  # of soft labels: kd, unlabeled and bd
    contrast_temperature: float = 0.07  # lingugkd, as published
    anchors: int = 1_024  # lingugkd: nodes a step that are contrasted, at most
    candidates: int = 32_768  # lingugkd: nodes a step that they are contrasted with, at most
    block: int = 512  # lingugkd: anchors whose scores are in memory at once
    projector_dropout: float = 0.1  # lingugkd: probability
    subclasses: int = 4  # lelp: of each class
    subclass_temperature: float = 1.0  # lelp, in standard deviations
    frequency_temperature: float = 1.0  # ff, in nats
    pairs: int = 262_144  # ff: edges a step, at most
    mixup_alpha: float = 0.4  # mixup: both parameters of the Beta distribution of shares
