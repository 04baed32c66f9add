"""`understudy backup` and `understudy restore`: copy a data folder's graph, and put it back."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.command_line.common_options import Force
from understudy.command_line.next_step import command, tell_next
from understudy.engine.backup import Backup, make_backup, restore_backup
from understudy.engine.remote import without_secrets
from understudy.engine.remote_backup import is_url, restore_stored, store_backup


def backup(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA_FOLDER", help="Folder that `serve` got as --data-folder."),
    ],
    out: Annotated[
        str,
        typer.Argument(
            help="Folder to write, where an older backup is replaced; or a URL such as "
            "s3://bucket/monday that holds no backup yet."
        ),
    ],
    force: Force = False,
) -> None:
    """Copy all changes of a graph as of one moment, while services may change it."""
    made = store_backup(data, out, force) if is_url(out) else make_backup(data, Path(out), force)
    typer.echo(f"{without_secrets(out)}: {described(made)}")
    typer.echo(f"to restore it: {command('restore', out, 'DATA_FOLDER')}")


def restore(
    source: Annotated[
        str, typer.Argument(metavar="BACKUP", help="Folder or URL of a copy made by `backup`.")
    ],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA_FOLDER",
            help="Data folder to restore into; it must not hold changes, and is created if needed.",
        ),
    ],
) -> None:
    """Restore a backup into a data folder, to be served from there."""
    stored = is_url(source)
    restored = restore_stored(source, data) if stored else restore_backup(Path(source), data)
    typer.echo(f"{data}: {described(restored)}")
    tell_next("serve", "BUNDLE", "--data-folder", data)


def described(made: Backup) -> str:
    before = made.snapshot or "the bundle"
    return (
        f"graph version {made.graph_version:,} ({before} and all later changes; bundle "
        f"{made.bundle}), {made.bytes / 1e6:,.1f} MB, {made.made}"
    )
