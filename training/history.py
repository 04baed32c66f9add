"""How a student was trained, an epoch at a time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Epoch:
    loss: float  # nats a node, all terms
    train_accuracy: float
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class Training:
    """What happened; the student itself holds the best epoch's weights."""

    epochs: list[Epoch]
    best_epoch: int  # index into `epochs`
    seconds: float
