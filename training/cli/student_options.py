"""Options of a student and its training that several commands have, with one help text each."""

from typing import Annotated

import typer

from training.config import EncoderKind
from training.devices import StudentPrecision

Encoder = Annotated[
    EncoderKind,
    typer.Option(help="Text encoder: minilm (a transformer) or hashing (n-grams, much faster)."),
]
Hidden = Annotated[int, typer.Option(min=1, help="Width of the hidden layers.")]
Patience = Annotated[
    int,
    typer.Option(
        min=1, help="Epochs without a better validation accuracy after which training stops."
    ),
]
Fanout = Annotated[
    int, typer.Option(min=1, help="Neighbours sampled per node and hop, in batches.")
]
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
