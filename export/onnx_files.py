"""torch modules → ONNX files, loudly: no retry with other settings, no fixed shape."""

import inspect
import logging
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from export.errors import ExportError

OPSET = 20  # the first with Gelu; below 16 duplicate scatter targets are silently overwritten

# Sizes of the sample inputs; the exporter must not mistake one for a constant, so all differ.
B, K, M, T = 3, 5, 11, 7
Axes = tuple[str | None, ...]


def export_module(
    module: nn.Module,
    sample: tuple[Tensor, ...],
    axes: dict[str, Axes],
    output: str,
    path: Path,
) -> None:
    """Exports one module with the named axes free, and checks the file.

    Args:
        axes: input → a name for each free axis, None for a fixed one.

    Raises:
        ExportError: the exporter failed, or fixed an axis that must stay free.
    """
    dims = {name: Dim(name, min=1) for axis in axes.values() for name in axis if name}
    dynamic: tuple[object, ...] = tuple(
        {position: dims[name] for position, name in enumerate(axis) if name}
        for axis in axes.values()
    )
    if any(entry.kind is entry.VAR_POSITIONAL for entry in forward_parameters(module)):
        dynamic = (dynamic,)  # one argument, `*inputs`, which holds them all
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations, none of ours
            torch.onnx.export(
                module.eval(),
                sample,
                path,
                input_names=list(axes),
                output_names=[output],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=dynamic,
                external_data=False,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(f"{type(module).__name__} cannot be exported: {error}") from error
    finally:
        quiet.setLevel(level)
    strip(path)
    check_axes(path, axes)


def forward_parameters(module: nn.Module) -> list[inspect.Parameter]:
    return list(inspect.signature(module.forward).parameters.values())


def strip(path: Path) -> None:
    """Drops what the exporter notes for its own authors: stack traces and inferred shapes."""
    model = onnx.load(path)
    for entry in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del entry.metadata_props[:]
    for part in (*model.graph.node, *model.graph.initializer):
        part.doc_string = ""
    del model.graph.value_info[:]
    onnx.save(model, path)


def check_axes(path: Path, axes: dict[str, Axes]) -> None:
    """Refuses a file whose inputs lost an axis that must stay free."""
    model = onnx.load(path)
    onnx.checker.check_model(model)
    inputs = {entry.name: entry.type.tensor_type.shape.dim for entry in model.graph.input}
    for name, axis in axes.items():
        free = [bool(dim.dim_param) for dim in inputs[name]]
        if free != [entry is not None for entry in axis]:
            raise ExportError(f"{path.name}: the exporter fixed an axis of {name}: {axis} → {free}")
