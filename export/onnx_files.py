"""Exports torch modules as ONNX files; fails instead of changing settings or fixing shapes."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import onnx
import onnxscript  # noqa: F401  which torch comes to import when it exports
import torch
from onnx.utils import Extractor
from torch import Tensor, nn
from torch.export import Dim

from export.errors import ExportError

OPSET = 20  # the first with Gelu; below 16 duplicate scatter targets are silently overwritten

# Sizes of the sample inputs; all differ, so that the exporter cannot mistake one for a constant.
B, K, M, T = 3, 5, 11, 7
Axes = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """A module and its ONNX file.

    Attributes:
        sample: the module's arguments, in order
        axes: input, in the same order → a name for each free axis, None for a fixed one
        output: the name of the module's result
    """

    path: Path
    module: nn.Module
    sample: tuple[Tensor, ...]
    axes: dict[str, Axes]
    output: str

    def scoped(self, name: str) -> str:
        """The name of an input or output while several files are traced as one network."""
        return f"{self.path.stem}.{name}"

    @property
    def inputs(self) -> list[str]:
        return [self.scoped(name) for name in self.axes]


class SideBySide(nn.Module):
    """Modules with separate inputs; returns the outputs of all."""

    def __init__(self, files: Sequence[OnnxFile]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(file.module for file in files)
        self.counts = [len(file.sample) for file in files]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        rest = iter(inputs)
        return tuple(
            part(*(next(rest) for _ in range(count)))
            for part, count in zip(self.parts, self.counts, strict=True)
        )


def export_files(files: Sequence[OnnxFile]) -> None:
    """Exports modules with the named axes free, one file each, and checks every file.

    All are traced as one network and extracted afterwards, because most of the exporter's time does
    not depend on how much it exports.

    Raises:
        ExportError: the exporter failed, or fixed an axis that must stay free.
    """
    extractor = Extractor(traced(files))
    for file in files:
        model = extractor.extract_model(file.inputs, [file.scoped(file.output)])
        model.graph.name = file.path.stem
        strip(model)
        rename(model, {file.scoped(name): name for name in (*file.axes, file.output)})
        onnx.save(model, file.path)
        check_file(file)


def traced(files: Sequence[OnnxFile]) -> onnx.ModelProto:
    """Traces all files as one network, whose inputs and outputs have scoped names."""
    together = SideBySide(files).eval()
    dims = {
        name: Dim(name, min=1)
        for file in files
        for axis in file.axes.values()
        for name in axis
        if name
    }
    dynamic = tuple(
        {position: dims[name] for position, name in enumerate(axis) if name}
        for file in files
        for axis in file.axes.values()
    )
    try:
        with quiet_exporter():
            program = torch.onnx.export(
                together,
                tuple(tensor for file in files for tensor in file.sample),
                input_names=[name for file in files for name in file.inputs],
                output_names=[file.scoped(file.output) for file in files],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=(dynamic,),  # for the single argument `*inputs`
                verbose=False,
            )
    except Exception as error:
        names = ", ".join(sorted({type(file.module).__name__ for file in files}))
        raise ExportError(f"{names} cannot be exported: {error}") from error
    proto: onnx.ModelProto = cast(torch.onnx.ONNXProgram, program).model_proto
    return proto


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Suppresses the exporter's own deprecation warnings."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def strip(model: onnx.ModelProto) -> None:
    """Drops the exporter's debugging data: stack traces and inferred shapes."""
    for entry in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
    for part in (*model.graph.node, *model.graph.initializer):
        part.doc_string = ""
    del model.graph.value_info[:]


def rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Renames inputs and outputs everywhere."""
    for entry in (*model.graph.input, *model.graph.output):
        entry.name = names[entry.name]
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]


def check_file(file: OnnxFile) -> None:
    """Refuses a file whose inputs lost an axis that must stay free."""
    model = onnx.load(file.path)
    onnx.checker.check_model(model)
    inputs = {entry.name: entry.type.tensor_type.shape.dim for entry in model.graph.input}
    for name, axis in file.axes.items():
        free = [bool(dim.dim_param) for dim in inputs[name]]
        if free != [entry is not None for entry in axis]:
            raise ExportError(
                f"{file.path.name}: the exporter fixed an axis of {name}: {axis} → {free}"
            )
