"""The whole student as one ONNX file."""

from pathlib import Path

import torch
from torch import Tensor

from export.onnx_files import Axes, OnnxFile
from export.student.whole import WholeStudent
from training.student.network import HashedInput, Student

# The free axes of each input of a layer, see `understudy.graph.layers.receptive_field.Hop`; 1 and 2
# are fixed.
HOP_AXES: dict[str, tuple[str | int, ...]] = {
    "own": ("nodes",),
    "index": ("rows", "width"),
    "weight": ("rows", "width"),
    "owner": ("rows",),
    "more": ("hubs", "parts"),
    "pair": ("nodes", 2),
    "self_weight": ("nodes", 1),
}
FLOATS = ("weight", "self_weight")
# Sizes of the sample inputs. All differ, or the exporter might tie equal ones together.
NODES, GRAMS = 97, 13
SIZES = ("nodes", "rows", "width", "hubs", "parts")


def whole_file(student: Student, path: Path) -> OnnxFile:
    """student.onnx, from the features of a receptive field to logits."""
    whole = WholeStudent(student).eval()
    samples, axes = feature_inputs(student)
    for number in range(1, len(student.layers) + 1):
        sizes = {name: 100 + len(SIZES) * number + place for place, name in enumerate(SIZES)}
        for name in whole.hop_names:
            shape = [sizes[axis] if isinstance(axis, str) else axis for axis in HOP_AXES[name]]
            kind = torch.float32 if name in FLOATS else torch.int64
            samples[f"{name}{number}"] = torch.zeros(shape, dtype=kind)
            axes[f"{name}{number}"] = tuple(
                f"{axis}{number}" if isinstance(axis, str) else None for axis in HOP_AXES[name]
            )
    return OnnxFile(path, whole, tuple(samples.values()), axes, "logits")


def feature_inputs(student: Student) -> tuple[dict[str, Tensor], dict[str, Axes]]:
    if isinstance(student.input, HashedInput):
        buckets = torch.zeros(NODES, GRAMS, dtype=torch.int64)
        samples = {"buckets": buckets, "weights": torch.ones(NODES, GRAMS)}
        return samples, dict.fromkeys(samples, ("nodes0", "grams"))
    return {"x": torch.zeros(NODES, student.input.in_features)}, {"x": ("nodes0", None)}
