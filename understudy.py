"""The command line: every command lives in a room and is imported only when it is called."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click
import typer
from typer.core import TyperGroup
from typer.main import get_command

# name: (module:Typer application or function, one line of help)
COMMANDS = {
    "data": ("graph.commands:data", "Build, import and describe text-attributed graphs."),
    "distill": ("training.commands:distill", "Train a student network on a graph."),
    "export": (
        "export.commands:export",
        "Turn a trained student into a bundle that can be served.",
    ),
    "serve": ("service.commands:serve", "Serve a bundle over HTTP."),
}
# Only a room that has been imported can have raised; the others are not imported to find out.
ERROR_ROOTS = {
    "graph.errors": "GraphError",
    "bundle.errors": "BundleError",
    "training.errors": "TrainingError",
    "export.errors": "ExportError",
    "service.errors": "ServiceError",
}


class LazyCommand(click.Command):
    """Stands for a room's command in the listing; imports the room when it is called."""

    def __init__(self, name: str, target: str, short_help: str) -> None:
        super().__init__(name, help=short_help)
        self.target = target

    def load(self) -> click.Command:
        module, _, attribute = self.target.partition(":")
        return get_command(getattr(importlib.import_module(module), attribute))

    def make_context(self, info_name: str | None, args: list[str], **extra: Any) -> click.Context:
        return self.load().make_context(info_name, args, **extra)


class LazyGroup(TyperGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return LazyCommand(cmd_name, *COMMANDS[cmd_name])


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Distil a large language model into a graph network, export it to ONNX, and serve it.",
)


@app.callback()
def root() -> None:
    """Distil a large language model into a graph network, export it to ONNX, and serve it."""


def expected_errors() -> tuple[type[Exception], ...]:
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in ERROR_ROOTS.items()
        if module in sys.modules
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; an expected error is one line on stderr and exit status 1."""
    try:
        app(args=arguments)
    except Exception as error:
        if isinstance(error, expected_errors()):
            typer.secho(f"error: {error}", fg="red", err=True)
            sys.exit(1)
        raise


if __name__ == "__main__":
    main()
