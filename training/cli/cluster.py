"""The options that say on which machines a stage runs; see `training.cluster.elsewhere`."""

from typing import Annotated

import typer

Ray = Annotated[
    str,
    typer.Option(
        help="Run on a cluster of Ray: local for one on this machine, auto for the one that runs "
        "here, or HOST:PORT of its head; else in this process."
    ),
]
Workers = Annotated[
    int,
    typer.Option(min=0, help="Of --ray, at once; 0: one a GPU where there are some, else a core."),
]
