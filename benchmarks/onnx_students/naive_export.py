"""Exports PyG's model in the obvious way, with torch.onnx, including edge_index and scatter."""

import logging
import warnings
from pathlib import Path

import torch

from benchmarks.common.torch_students import EdgeIndexStudent
from training.student.network import Student
from understudy.bundle.sessions import Network


def naive_network(student: Student, dimension: int, path: Path) -> Network | str:
    """Exports and opens the model; returns the exporter's message if it fails."""
    nodes, edges = torch.export.Dim("nodes", min=2), torch.export.Dim("edges", min=2)
    sample = (torch.zeros(5, dimension), torch.zeros(2, 7, dtype=torch.int64), torch.ones(7))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                EdgeIndexStudent(student).eval(),
                sample,
                path,
                input_names=["x", "edge_index", "edge_weight"],
                output_names=["logits"],
                opset_version=18,
                dynamo=True,
                dynamic_shapes=({0: nodes}, {1: edges}, {0: edges}),
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # noqa: BLE001 - whatever it raises is the result
        return type(error).__name__
    return Network(path)
