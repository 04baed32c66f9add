"""The command line: every command lives in a room and is imported only when it is called."""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

HELP = "Distil a large language model into a graph network, export it to ONNX, and serve it."
# name: (module:function or Typer application, one line of help)
COMMANDS = {
    "data": ("graph.commands:data", "Build, import and describe text-attributed graphs."),
    "teach": (
        "training.teach_command:teach",
        "Tune a language model on a graph and ask it about every node.",
    ),
    "distill": ("training.commands:distill", "Train a student network on a graph."),
    "evaluate": (
        "training.evaluate_command:evaluate",
        "Compare distilled with vanilla students over paired seeds.",
    ),
    "export": (
        "export.commands:export",
        "Turn a trained student into a bundle that can be served.",
    ),
    "serve": ("service.commands:serve", "Serve a bundle over HTTP."),
    "teacher-serve": (
        "teacher_server.commands:teacher_serve",
        "Serve a trained teacher over an OpenAI-compatible endpoint.",
    ),
    "bench": ("benchmarks.commands:bench", "Measure speed on this machine."),
    "key": ("service.commands:key", "Make an API key of the service."),
    "demo": ("demo:demo", "Run everything, from a graph to answers, on real data."),
}
# Only a room that has been imported can have raised; the others are not imported to find out.
ERROR_ROOTS = {
    "graph.errors": "GraphError",
    "bundle.errors": "BundleError",
    "training.errors": "TrainingError",
    "export.errors": "ExportError",
    "service.errors": "ServiceError",
}


def build_app(called: str | None) -> typer.Typer:
    """The application with every command listed, and the room of `called` imported."""
    app = typer.Typer(
        help=HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    app.callback(help=HELP)(options_of_all)
    for name, (target, short_help) in COMMANDS.items():
        if name != called:
            app.command(name, help=short_help)(listed_only)
            continue
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, help=short_help)
        else:
            app.command(name)(command)
    return app


def tell_version(wanted: bool) -> None:
    if wanted:
        metadata = importlib.import_module("importlib.metadata")  # slow, and no command needs it
        typer.echo(f"understudy {metadata.version('understudy')}")
        raise typer.Exit


def options_of_all(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=tell_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """What the program itself takes, before any command."""


def listed_only() -> None:
    """Stands for a command whose room is not needed by this call."""


def expected_errors() -> tuple[type[Exception], ...]:
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in ERROR_ROOTS.items()
        if module in sys.modules
    )


@contextmanager
def errors_in_a_line() -> Iterator[None]:
    """An expected error is one line on stderr and exit status 1; any other is raised."""
    try:
        yield
    except Exception as error:
        if isinstance(error, expected_errors()):
            typer.secho(f"error: {error}", fg="red", err=True)
            sys.exit(1)
        raise


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    with errors_in_a_line():
        build_app(words[0] if words else None)(args=words)


if __name__ == "__main__":
    main()
