"""The options for a student's training device and precision."""

from typing import Annotated

import typer

from training.devices import StudentPrecision

Device = Annotated[
    str,
    typer.Option(
        help="Device to train on: auto (CUDA if available), cpu, cuda, or cuda:1 for the second "
        "GPU."
    ),
]
Precision = Annotated[
    StudentPrecision,
    typer.Option(
        help="Precision of the student's matrix products in training; weights, sums over "
        "neighbours and losses stay float32. bfloat16 is faster on a GPU."
    ),
]
