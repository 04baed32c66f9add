"""`understudy bundle …`: look at a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from understudy.bundle.card import full_facts, page
from understudy.bundle.reader import open_bundle
from understudy.command_line.printed_json import printed_json

bundle = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Show what a bundle holds.",
)


@bundle.callback()
def group() -> None:
    """Keeps `show` a subcommand although it is the only one."""


@bundle.command("show")
def show(
    folder: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a page.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="First check every file against its digest.")
    ] = False,
) -> None:
    """Print a bundle's model card: graph, lineage, recipe, accuracy, calibration, files."""
    facts = full_facts(open_bundle(folder, verify))
    typer.echo(printed_json(facts) if as_json else page(facts), nl=False)
    if as_json:
        typer.echo()
