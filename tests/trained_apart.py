"""Trains students with the processor and on the device of `tests.apart_device`; prints as JSON how
far each case's two students are apart.

    python -m tests.trained_apart
"""

import json
import sys
from dataclasses import replace

import torch
from torch import nn

from tests import apart_device
from tests.unit.training.samples import CLASSES, WIDTH, small_data, small_graph
from training import distill
from training.config import (
    LABELS,
    OBJECTIVES,
    STUDENT_KINDS,
    ObjectiveOptions,
    StudentConfig,
    TrainingConfig,
)
from training.data import GraphData
from training.encoders.features import PROCESSOR, EncoderSpec, encoder_spec, graph_features
from training.student.checkpoint import CheckpointConfig
from training.student.network import register_student

ALSO_IN_BATCHES = ("own", "hashed", "lingugkd")  # beside all kinds


class Own(nn.Module):
    """A registered layer: that of GraphSAGE."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.near = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, h: torch.Tensor, aggregated: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.own(h) + self.near(aggregated)
        return result


def config(kind: str, terms: dict[str, float], spec: EncoderSpec, batch: int) -> CheckpointConfig:
    return CheckpointConfig(
        student=StudentConfig(kind=kind, hidden=16, dropout=0.0),  # whose choices a device draws
        training=TrainingConfig(epochs=2, batch_size=batch),
        encoder=spec,
        graph_path="",
        graph_name="",
        graph_hash="",
        label_names=tuple(map(str, range(CLASSES))),
        terms=terms,
        objectives=ObjectiveOptions(projector_dropout=0.0),
    )


def difference(own: CheckpointConfig, data: GraphData) -> float:
    """The largest of any weight."""
    found = []
    for device in ("cpu", "cuda"):
        training = replace(own.training, device=device)
        found.append(distill.fit(replace(own, training=training), data)[0].state_dict())
    here, there = found
    assert all(weight.device == PROCESSOR for weight in there.values())
    return max(float((here[name] - there[name]).abs().max()) for name in here)


def difference_or_error(own: CheckpointConfig, data: GraphData) -> float | str:
    """The difference, or the error that two devices were mixed by."""
    try:
        return difference(own, data)
    except (RuntimeError, IndexError) as error:
        return str(error)


def main() -> None:
    apart = apart_device.install()
    vars(distill)["found_device"] = lambda name: apart if name == "cuda" else PROCESSOR
    register_student("own", lambda config: Own(config.hidden), "mean")
    dense, data = EncoderSpec("minilm", "", "", WIDTH), small_data()
    hashing = encoder_spec("hashing")
    hashed = replace(data, features=graph_features(small_graph(), hashing))
    taught = {name: {LABELS: 1.0, name: 1.0} for name in OBJECTIVES if name != LABELS}
    cases: dict[str, tuple[CheckpointConfig, GraphData]]
    cases = {kind: (config(kind, {LABELS: 1.0}, dense, 0), data) for kind in STUDENT_KINDS}
    cases["own"] = config("own", {LABELS: 1.0}, dense, 0), data
    cases |= {name: (config("sage", terms, dense, 0), data) for name, terms in taught.items()}
    cases["hashed"] = config("sage", {LABELS: 1.0}, hashing, 0), hashed
    for name in (*STUDENT_KINDS, *ALSO_IN_BATCHES):
        own, of = cases[name]
        batches = replace(own, training=replace(own.training, batch_size=40))
        cases[f"{name} in batches"] = batches, of
    json.dump({name: difference_or_error(*case) for name, case in cases.items()}, sys.stdout)


if __name__ == "__main__":
    main()
