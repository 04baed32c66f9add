"""`understudy backup`, `understudy restore`: a data folder's graph, kept and put back."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.engine.backup import Backup, make_backup, restore_backup
from understudy.graph.next_step import command, tell_next


def backup(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA_FOLDER", help="What `serve` was given as --data-folder."),
    ],
    out: Annotated[Path, typer.Argument(help="Folder to write; an older backup is replaced.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace another kind of understudy's folder.")
    ] = False,
) -> None:
    """Copy all changes of a graph as of one moment; services may go on changing it."""
    typer.echo(f"{out}: {described(make_backup(data, out, force))}")
    typer.echo(f"to go back to it: {command('restore', out, 'DATA_FOLDER')}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="Made by `backup`.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA_FOLDER", help="A folder without changes; made if new.")
    ],
) -> None:
    """Put a backup into a data folder, to be served from there."""
    restored = restore_backup(source, data)
    typer.echo(f"{data}: {described(restored)}")
    tell_next("serve", "BUNDLE", "--data-folder", data)


def described(made: Backup) -> str:
    before = made.snapshot or "the bundle"
    return (
        f"graph version {made.graph_version:,} ({before} and what follows it, of the bundle "
        f"{made.bundle}), {made.bytes / 1e6:,.1f} MB, {made.made}"
    )
