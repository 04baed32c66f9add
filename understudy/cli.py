"""The command line: every command lives in a room and is imported only when it is called."""

import gc
import importlib
import io
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Annotated, NoReturn

import typer

from understudy.command_line.help_pages import complete_help
from understudy.command_line.option_numbers import refuse_no_numbers
from understudy.extras import advice, is_own
from understudy.plugins import load_plugins
from understudy.standard_streams import open_closed_ones

HELP = "Distil a large language model into a graph network, export it to ONNX, and serve it."
# name: (module:function or Typer application, one line of help)
COMMANDS = {
    "data": (
        "understudy.retraining.commands:data",
        "Build, import and describe text-attributed graphs.",
    ),
    "teach": (
        "training.cli.teach:teach",
        "Tune a language model on a graph and ask it about every node.",
    ),
    "plan": (
        "training.cli.plan:plan",
        "Estimate time, memory, disk and money of every stage before any work.",
    ),
    "distill": ("training.cli.distill:distill", "Train a student network on a graph."),
    "evaluate": (
        "training.cli.evaluate:evaluate",
        "Compare students that a teacher taught with those trained without one.",
    ),
    "export": (
        "export.cli:export",
        "Turn a trained student into a bundle that can be served.",
    ),
    "bundle": ("understudy.bundle.commands:bundle", "Show what a bundle holds."),
    "refresh": (
        "understudy.retraining.refresh_command:refresh",
        "Train a new model on the served graph, and serve it if it is not worse.",
    ),
    "predict": (
        "understudy.predict.commands:predict",
        "Classify the rows of a file, or all unlabelled nodes.",
    ),
    "serve": ("service.commands:serve", "Serve a bundle over HTTP."),
    "teacher-serve": (
        "training.teacher_server.commands:teacher_serve",
        "Serve a trained teacher over an OpenAI-compatible endpoint.",
    ),
    "bench": (
        "benchmarks.commands:bench",
        "Measure speed on this machine; figures replace those in benchmarks/results.",
    ),
    "key": ("service.commands:key", "Make an API key of the service."),
    "backup": (
        "understudy.engine.commands:backup",
        "Copy the changes of a graph, even while it is served.",
    ),
    "restore": (
        "understudy.engine.commands:restore",
        "Restore a backup into a data folder.",
    ),
    "demo": ("understudy.demo:demo", "Run everything, from a graph to answers, on real data."),
    "collect-env": (
        "understudy.environment:collect_env",
        "Print versions and facts about the machine, for a bug report.",
    ),
}
ANEW = "no partial result is left; the same command starts from the beginning"
# What an interrupted command leaves; serve and teacher-serve end at once and cannot be resumed.
INTERRUPTED = {
    "data": ANEW,
    "teach": "the same command resumes from the last checkpoint, which is kept beside OUT; answers "
    "of an endpoint, or of a frozen encoder with --no-show-labels, are kept in the cache",
    "distill": f"{ANEW}; encoded texts are kept",
    "evaluate": "the same command resumes; finished runs are kept in OUT",
    "export": ANEW,
    "predict": "the same command resumes with the rows that are not answered yet",
    "bench": ANEW,
    "refresh": "the same command resumes; no partial result is served",
    "demo": "the same command starts again; its teacher resumes from the last checkpoint",
}
PREFIX = "UNDERSTUDY_"
# In addition to the settings of `serve`; all but the first three are for tests.
VARIABLES = ("CACHE", "KEY", "PLUGINS", "DATASETS", "LONG_TESTS", "TEST_REQUESTS")
# Variables that Kubernetes sets in containers when a service is called understudy.
FROM_KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP)\w*)$")
# The extra that a command needs; pyproject.toml lists its packages.
EXTRAS = {
    **dict.fromkeys(("data", "teach", "plan", "distill", "evaluate"), "training"),
    **dict.fromkeys(
        ("serve", "key", "predict", "bundle", "backup", "restore", "collect-env"), "service"
    ),
    "export": "export",
    **dict.fromkeys(("teacher-serve", "demo", "bench", "refresh"), "dev"),
}
LOADS_TORCH = ("training", "export", "dev")  # extras of commands that do, or may
# Objects made between two rounds of the collector while such a command runs, where Python has 700:
# torch and PyTorch Geometric make half a million while they are imported, and a thousand rounds
# took a seventh of that time.
OBJECTS_A_ROUND = 50_000
PLUGGED = ("data", "teach", "distill", "evaluate", "export")  # commands that load plugins
FROM_TORCH = re.compile(r"can't allocate memory: you tried to allocate (\d+) bytes")
FROM_NUMPY = ("array is too big", "Maximum allowed")  # errors for arrays too large for any memory
BY_SIGNAL = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
# Only an imported room can have raised an error, so none is imported to look.
ERROR_ROOTS = {
    "understudy.plugins": "PluginError",
    "understudy.folders.errors": "FolderError",
    "understudy.cluster.errors": "ClusterError",
    "benchmarks.errors": "BenchmarkError",
    "understudy.graph.errors": "GraphError",
    "understudy.bundle.errors": "BundleError",
    "understudy.client.errors": "ClientError",
    "understudy.endpoint.errors": "EndpointError",
    "understudy.predict.errors": "PredictError",
    "understudy.retraining.errors": "RefreshError",
    "training.errors": "TrainingError",
    "export.errors": "ExportError",
    "understudy.engine.errors": "EngineError",  # and those that service adds
}


def build_app(called: str | None) -> typer.Typer:
    """Builds the application: lists every command, and imports the room of `called` only."""
    app = typer.Typer(
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # with it, 80 columns cut the names of options and variables
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
        typer.echo(f"understudy {metadata.version('understudy-gnn')}")
        raise typer.Exit


def options_of_all(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=tell_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the program itself, before any command."""


def listed_only() -> None:
    """Stands in for a command whose room this call does not need."""


def unread_variables() -> Iterator[str]:
    """Yields a warning for each environment variable with our prefix that nothing reads."""
    present = {
        name.removeprefix(PREFIX)
        for name in os.environ
        if name.startswith(PREFIX) and not FROM_KUBERNETES.search(name)
    }
    if unknown := sorted(present - set(VARIABLES)):
        known = [*VARIABLES, *service_settings()]
        for name in unknown:
            if name not in known:
                closest = importlib.import_module("difflib").get_close_matches(name, known, 1)
                hint = f"; did you mean {PREFIX}{closest[0]}?" if closest else ""
                yield f"the environment variable {PREFIX}{name} is unknown and ignored{hint}"


def service_settings() -> Iterator[str]:
    """Yields the settings of `serve` as variables without their prefix, if it is installed."""
    try:
        settings = importlib.import_module("service.settings").Settings
    except ImportError:
        return
    yield from (name.upper() for name in settings.model_fields)


def expected_errors() -> tuple[type[Exception], ...]:
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in ERROR_ROOTS.items()
        if module in sys.modules
    )


@contextmanager
def errors_in_a_line(
    extra: str = "dev", interrupted: str = "", own_process: bool = False
) -> Iterator[None]:
    """Turns an error into one line on stderr and exit status 1; a signal gives 128 + its number.

    Args:
        extra: the extra to install if a module is missing.
        interrupted: what to say after a signal; empty says nothing.
        own_process: the process ends with the command, so that another Control-C ends it at once
            instead of interrupting the end of the interpreter, with a stack trace.
    """
    try:
        yield
    except KeyboardInterrupt:
        end_by_signal(128 + signal.SIGINT, interrupted, own_process)
    except SystemExit as ended:
        if ended.code in BY_SIGNAL:
            end_by_signal(int(ended.code), interrupted, own_process)
        raise
    except Exception as error:  # noqa: BLE001  the program's outermost handler
        if status := signal_behind(error):
            end_by_signal(status, interrupted, own_process)
        fail(message_of(error, extra))


def signal_behind(error: BaseException | None) -> int:
    """Status for the signal that an error came of; 0 if none.

    Extension modules that are interrupted while they are imported raise ImportError from it.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return 128 + signal.SIGINT
        if isinstance(error, SystemExit) and error.code in BY_SIGNAL:
            return int(error.code)
        error = error.__cause__
    return 0


def end_by_signal(status: int, interrupted: str, own_process: bool) -> NoReturn:
    if own_process:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if interrupted:
        typer.secho(f"interrupted: {interrupted}", fg="yellow", err=True)
    sys.exit(status)


def message_of(error: Exception, extra: str) -> str:
    """Puts an error into words that say what to do about it."""
    if isinstance(error, expected_errors()):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not is_own(str(error.name)):
        return advice(str(error.name), extra)
    if isinstance(error, ImportError):
        return f"a package cannot be imported; reinstall understudy: {error}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory: {str(error) or 'none is left'}"
    if isinstance(error, RuntimeError) and (found := FROM_TORCH.search(str(error))):
        return f"out of memory: {int(found[1]):,} more bytes were needed"
    if isinstance(error, ValueError) and str(error).startswith(FROM_NUMPY):
        return f"out of memory: {error}"
    if isinstance(error, OSError):
        places = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([*places, error.strerror or str(error)])
    return f"unexpected {type(error).__name__}: {error} ({where_it_is_written(error)})"


def where_it_is_written(error: Exception) -> str:
    """Writes an error's stack trace into a file for a bug report, and says where the file is."""
    tempfile, traceback = (importlib.import_module(name) for name in ("tempfile", "traceback"))
    try:
        handle, path = tempfile.mkstemp(prefix="understudy-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
    except OSError as problem:
        return f"its stack trace cannot be written to a file: {problem}"
    return f"its stack trace is in {path}"


def fail(message: str) -> NoReturn:
    """Ends the program with one line on stderr."""
    typer.secho(f"error: {' '.join(message.split())}", fg="red", err=True)
    sys.exit(1)


@contextmanager
def tidy_end() -> Iterator[None]:
    """Turns a termination signal into SystemExit, so that every `finally` cleans up."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    # Signals that are ignored, as under nohup, stay ignored.
    ours = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)


@contextmanager
def few_collections() -> Iterator[None]:
    """Lets the collector of cycles pass seldom, as is better where torch is imported."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_A_ROUND, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command."""
    open_closed_ones()
    if isinstance(sys.stdout, io.TextIOWrapper):  # as stderr: unencodable characters are escaped
        sys.stdout.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    called = words[0] if words else None
    named = called or ""
    extra = EXTRAS.get(named, "dev")
    rounds = few_collections() if extra in LOADS_TORCH else nullcontext()
    interrupted = INTERRUPTED.get(named, "")
    with rounds, tidy_end(), errors_in_a_line(extra, interrupted, arguments is None):
        if called in PLUGGED:
            load_plugins()
        app = build_app(called)
        for warning in unread_variables() if called in COMMANDS else ():
            typer.secho(f"warning: {warning}", fg="yellow", err=True)
        command = typer.main.get_command(app)
        refuse_no_numbers(command)
        complete_help(command)
        command(args=words)


if __name__ == "__main__":
    main()
