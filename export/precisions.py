"""The same networks in fewer bits."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx

from bundle.student import WHOLE_FILE

SHORT = 32  # rows of a constant
Convert = Callable[[Path, Path], None]


def to_int8(source: Path, target: Path) -> None:
    """Weights per channel, activations at run time (arXiv 1712.05877, section 2.1).

    Weights take 7 of the 8 bits: without VNNI instructions sums of two products would saturate,
    and a bundle must give the same answers on every machine.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with quiet():
        quantize_dynamic(
            source,
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
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


def convert_folder(source: Path, target: Path, precision: str) -> None:
    """Converts a student's input network and layers, under the same names."""
    target.mkdir(parents=True)
    for path in sorted({*source.glob("*.onnx")} - {source / Path(WHOLE_FILE).name}):
        CONVERSIONS[precision](path, target / path.name)


@contextmanager
def quiet() -> Iterator[None]:
    """The converters advise to run other tools first; what they write is checked here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
