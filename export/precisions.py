"""Variants of the networks with fewer bits: int8 and fp16."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

import understudy.bundle.runtime  # noqa: F401  before parts of onnxruntime are imported

SHORT = 32  # number of rows of a constant
Convert = Callable[[Path, Path], None]


def to_int8(source: Path, target: Path) -> None:
    """Quantises weights per channel, and activations at run time (arXiv 1712.05877, section 2.1).

    Weights use all 8 bits. On an x64 processor without VNNI instructions, sums of two such products
    saturate unless `session.x64quantprecision` is set, as `understudy.bundle.sessions` does there.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=unsuited_products(source),
        )


def unsuited_products(path: Path) -> list[str]:
    """Products with constants that stay in float32.

    There is no kernel for more than two axes (GAT's map per head), and short constants gain no
    time: separated outliers, a head with few classes.
    """
    graph = onnx.load(path).graph
    shapes = {weights.name: tuple(weights.dims) for weights in graph.initializer}

    def unsuited(name: str) -> bool:
        shape = shapes.get(name, ())
        return len(shape) > 2 or (len(shape) == 2 and shape[0] <= SHORT)

    return [node.name for node in graph.node if any(map(unsuited, node.input))]


def to_fp16(source: Path, target: Path) -> None:
    """Converts everything inside to half precision, but not inputs and outputs. For CUDA."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with quiet():
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


CONVERSIONS: dict[str, Convert] = {"int8": to_int8, "fp16": to_fp16}


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the converters' advice to run other tools first; their output is checked here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
