"""The same networks with fewer bits: int8 and fp16 variants."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

SHORT = 32  # rows of a constant
Convert = Callable[[Path, Path], None]


def to_int8(source: Path, target: Path) -> None:
    """Weights per channel, activations at run time (arXiv 1712.05877, section 2.1).

    Weights take all 8 bits. On an x64 processor without VNNI instructions sums of two such products
    saturate, unless `session.x64quantprecision` is set, as `understudy.bundle.sessions` does there.
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
    """Products with constants that stay as they are.

    There is no kernel for more than two axes (GAT's maps a head), and a short one gains no time:
    outliers that were set apart, a head of a few classes.
    """
    graph = onnx.load(path).graph
    shapes = {weights.name: tuple(weights.dims) for weights in graph.initializer}

    def unsuited(name: str) -> bool:
        shape = shapes.get(name, ())
        return len(shape) > 2 or (len(shape) == 2 and shape[0] <= SHORT)

    return [node.name for node in graph.node if any(map(unsuited, node.input))]


def to_fp16(source: Path, target: Path) -> None:
    """Everything inside in half precision; inputs and outputs stay as they are. For CUDA."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with quiet():
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


CONVERSIONS: dict[str, Convert] = {"int8": to_int8, "fp16": to_fp16}


@contextmanager
def quiet() -> Iterator[None]:
    """The converters advise to run other tools first; what they write is checked here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
