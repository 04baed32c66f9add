"""Options that are declared once and handed to several commands."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from understudy.command_line.option_groups import with_options


@dataclass(frozen=True)
class Paint:
    color: Annotated[str, typer.Option(help="Of the wall.")] = "white"
    coats: Annotated[int, typer.Option(min=1)] = 1


@with_options("paint", Paint)
def wall(name: str, *, wide: bool = False, paint: Paint, dry: bool = False) -> None:
    typer.echo(f"{name} {wide} {paint.coats} {paint.color}")


def test_a_command_gets_a_group_as_one_value_where_its_parameter_stands() -> None:
    app = typer.Typer()
    app.command()(wall)
    assert CliRunner().invoke(app, ["north"]).output == "north False 1 white\n"
    words = ["south", "--wide", "--color", "blue", "--coats", "2"]
    assert CliRunner().invoke(app, words).output == "south True 2 blue\n"
    assert CliRunner().invoke(app, ["north", "--coats", "0"]).exit_code == 2
    shown = CliRunner().invoke(app, ["--help"]).output
    order = [shown.index(option) for option in ("--wide", "--color", "--coats", "--dry")]
    assert order == sorted(order)
