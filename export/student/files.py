"""A student's files: its input network and its layers, in full precision and in fewer bits."""

import inspect
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from export.onnx_files import Axes, B, K, M, OnnxFile, export_files
from export.precisions import CONVERSIONS
from export.student.blocks import (
    DenseInputBlock,
    HashedInputBlock,
    dense_blocks,
    layer_blocks,
    project_blocks,
)
from export.student.even_rows import even_rows
from export.student.whole_file import whole_file
from training.student.network import HashedInput, Student
from understudy.bundle.student import WHOLE_FILE
from understudy.folders.temporary import temporary_errors, temporary_folder

LAYER_AXES: dict[str, Axes] = {
    "h": ("nodes", None),
    "aggregated": ("nodes", None),
    "table": ("stored", None),
    "index": ("nodes", "width"),
    "weight": ("nodes", "width"),
    "self_weight": ("nodes", None),
}


def export_student(student: Student, folder: Path, whole: bool = False) -> None:
    """Writes input.onnx, layer1.onnx … and dense1.onnx … of a student into `folder`.

    Args:
        whole: also write student.onnx, which is all of it in one network

    Raises:
        ExportError: see `export_files`.
    """
    folder.mkdir(parents=True)
    files = [input_file(student, folder), *layer_files(student, folder)]
    export_files([*files, whole_file(student, folder / Path(WHOLE_FILE).name)] if whole else files)


def input_file(student: Student, folder: Path) -> OnnxFile:
    """The network from features to h0."""
    path = folder / "input.onnx"
    if isinstance(student.input, HashedInput):
        sample = (torch.zeros(B, K, dtype=torch.int64), torch.ones(B, K))
        axes: dict[str, Axes] = {"buckets": ("nodes", "width"), "weights": ("nodes", "width")}
        return OnnxFile(path, HashedInputBlock(student), sample, axes, "h")
    dense = (torch.zeros(B, student.input.in_features),)
    return OnnxFile(path, DenseInputBlock(student), dense, {"x": ("nodes", None)}, "h")


def layer_files(student: Student, folder: Path) -> Iterator[OnnxFile]:
    """Every layer in each of its forms, with inputs named as in LAYER_AXES."""
    forms = {"layer": layer_blocks, "dense": dense_blocks, "project": project_blocks}
    for name, blocks in ((name, make(student)) for name, make in forms.items()):
        for number, block in enumerate(blocks, start=1):
            last = "logits" if number == len(blocks) else "h_next"
            inputs = inspect.signature(block.forward).parameters
            samples = layer_samples(student.config.hidden)  # a shared one would tie two inputs
            yield OnnxFile(
                folder / f"{name}{number}.onnx",
                block,
                tuple(samples[entry] for entry in inputs),
                {entry: LAYER_AXES[entry] for entry in inputs},
                "projected" if name == "project" else last,
            )


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
        with temporary_folder() as folder:
            with temporary_errors(folder):
                export_student(even_rows(student), folder / "student")
            convert_folder(folder / "student", target, precision)
    else:
        convert_folder(source, target, precision)


def convert_folder(source: Path, target: Path, precision: str) -> None:
    target.mkdir(parents=True)
    for path in sorted({*source.glob("*.onnx")} - {source / Path(WHOLE_FILE).name}):
        CONVERSIONS[precision](path, target / path.name)
