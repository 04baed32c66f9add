"""Options and arguments of commands of several rooms, with one help text each."""

from pathlib import Path
from typing import Annotated

import typer

EncoderPath = Annotated[
    Path | None, typer.Option(help="Folder with MiniLM, if its package is not installed.")
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace OUT even if it is a folder of another kind that understudy wrote."
    ),
]
GraphFolder = Annotated[Path, typer.Argument(help="Graph folder, see `understudy data`.")]
