"""Copies the weights of another student into a fresh one of the same shape."""

import torch

from training.errors import CheckpointError
from training.student.checkpoint import Checkpoint, CheckpointConfig
from training.student.network import Student


def check_start(config: CheckpointConfig, before: Checkpoint) -> None:
    """Refuses weights of an incompatible student.

    Raises:
        CheckpointError: another shape of network, or another text encoder.
    """
    own, other = config.student, before.config.student
    shapes = [
        (s.kind, s.layers, s.hidden, s.heads, s.residual, s.normalization) for s in (own, other)
    ]
    if shapes[0] != shapes[1]:
        raise CheckpointError(
            f"the student to start from is a {other.kind} of {other.layers} layers of "
            f"{other.hidden}, but the one to train has another shape; choose the same shape"
        )
    read, reads = before.config.encoder, config.encoder
    if (read.kind, read.digest) != (reads.kind, reads.digest):
        raise CheckpointError(
            f"the student to start from reads texts with the encoder {read.name} "
            f"({read.digest[:8]}), but the one to train uses {reads.name} ({reads.digest[:8]}); "
            "train without --from"
        )


def doubt_about(config: CheckpointConfig, before: Checkpoint) -> str | None:
    """A warning that accuracies may be inflated because the weights were trained on another graph
    or split; None if the graph is the same, or of the same lineage, which keeps its split.
    """
    other = before.config
    if other.graph_hash == config.graph_hash:
        return None
    if config.lineage and other.lineage and other.lineage.id == config.lineage.id:
        return None
    return (
        f"the student to begin with was trained on {other.graph_name} with content hash "
        f"{other.graph_hash[:12]}, and this graph is {config.graph_name} with "
        f"{config.graph_hash[:12]}: if nodes that it learned the labels of are validation or test "
        "nodes here, accuracies are too high, and the epoch and the temperature chosen by them"
    )


@torch.no_grad()
def begin_with(student: Student, label_names: tuple[str, ...], before: Checkpoint) -> None:
    """Copies all weights; those of the head by name, for labels that both students know.

    New labels keep the fresh student's weights.
    """
    state = before.student.state_dict()
    place_of = {name: place for place, name in enumerate(before.config.label_names)}
    known = [place for place, name in enumerate(label_names) if name in place_of]
    there = [place_of[label_names[place]] for place in known]
    for name, fresh in student.head.state_dict().items():
        own = fresh.clone()
        own[known] = state[f"head.{name}"][there]
        state[f"head.{name}"] = own
    student.load_state_dict(state)
