"""A student's files: its input network and its layers, as they are and in fewer bits."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from export.onnx_files import Axes, B, K, M, export_module, forward_parameters
from export.precisions import CONVERSIONS
from export.student.blocks import (
    DenseInputBlock,
    HashedInputBlock,
    dense_blocks,
    layer_blocks,
    project_blocks,
)
from export.student.even_rows import even_rows
from training.student.network import HashedInput, Student
from understudy.bundle.student import WHOLE_FILE

LAYER_AXES: dict[str, Axes] = {
    "h": ("nodes", None),
    "aggregated": ("nodes", None),
    "table": ("stored", None),
    "index": ("nodes", "width"),
    "weight": ("nodes", "width"),
    "self_weight": ("nodes", None),
}


def export_student(student: Student, folder: Path) -> None:
    """Writes input.onnx, layer1.onnx … and dense1.onnx … of a student into `folder`."""
    folder.mkdir(parents=True)
    if isinstance(student.input, HashedInput):
        sample = (torch.zeros(B, K, dtype=torch.int64), torch.ones(B, K))
        axes: dict[str, Axes] = {"buckets": ("nodes", "width"), "weights": ("nodes", "width")}
        export_module(HashedInputBlock(student), sample, axes, "h", folder / "input.onnx")
    else:
        dense = (torch.zeros(B, student.input.in_features),)
        export_module(
            DenseInputBlock(student), dense, {"x": ("nodes", None)}, "h", folder / "input.onnx"
        )
    forms = {"layer": layer_blocks, "dense": dense_blocks, "project": project_blocks}
    for name, blocks in ((name, make(student)) for name, make in forms.items()):
        for number, block in enumerate(blocks, start=1):
            last = "logits" if number == len(blocks) else "h_next"
            output = "projected" if name == "project" else last
            export_block(block, student.config.hidden, output, folder / f"{name}{number}.onnx")


def export_block(block: nn.Module, hidden: int, output: str, path: Path) -> None:
    """Exports one layer's block, whose inputs are named in LAYER_AXES."""
    names = [entry.name for entry in forward_parameters(block)]
    samples = layer_samples(hidden)
    sample = tuple(samples[name] for name in names)
    export_module(block, sample, {name: LAYER_AXES[name] for name in names}, output, path)


def layer_samples(hidden: int) -> dict[str, Tensor]:
    return {
        "h": torch.zeros(B, hidden),
        "aggregated": torch.zeros(B, hidden),
        "table": torch.zeros(M, hidden),
        "index": torch.zeros(B, K, dtype=torch.int64),
        "weight": torch.ones(B, K),
        "self_weight": torch.ones(B, 1),
    }


def convert_student(student: Student, source: Path, target: Path, precision: str) -> None:
    """Converts the exported input network and layers of a student, under the same names."""
    if precision == "int8" and student.config.kind == "gin":
        with tempfile.TemporaryDirectory() as folder:
            export_student(even_rows(student), Path(folder) / "student")
            convert_folder(Path(folder) / "student", target, precision)
    else:
        convert_folder(source, target, precision)


def convert_folder(source: Path, target: Path, precision: str) -> None:
    target.mkdir(parents=True)
    for path in sorted({*source.glob("*.onnx")} - {source / Path(WHOLE_FILE).name}):
        CONVERSIONS[precision](path, target / path.name)
