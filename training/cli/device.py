"""The options for a student's training device and precision."""

from typing import Annotated

import typer

from training.devices import StudentPrecision

Device = Annotated[
    str,
    typer.Option(
        help="To train on: auto (CUDA where there is some), cpu, cuda, or cuda:1, the second GPU."
    ),
]
Precision = Annotated[
    StudentPrecision,
    typer.Option(
        help="Of the student's own products in training; its weights, sums over neighbours and "
        "losses are float32. bfloat16 is faster on a GPU."
    ),
]
