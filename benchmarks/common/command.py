"""Benchmarks as commands: checks before measuring, and how errors are reported."""

import shutil
from collections.abc import Callable
from pathlib import Path

import typer

from benchmarks.common.results import check_writable
from benchmarks.errors import BenchmarkError
from understudy.bundle import open_bundle
from understudy.cli import errors_in_a_line, tidy_end
from understudy.command_line.option_numbers import refuse_no_numbers


def check_bundle(bundle: Path, *programs: str) -> None:
    """Refuses a bundle that cannot be measured, or results that cannot be written, at once.

    Args:
        programs: that must be installed.

    Raises:
        BundleError: it is no bundle.
        BenchmarkError: a program is missing, or the results cannot be written.
    """
    open_bundle(bundle, verify=False)
    check_programs(*programs)


def check_programs(*programs: str) -> None:
    """Refuses missing programs, or results that cannot be written, at once.

    Raises:
        BenchmarkError: a program is missing, or the results cannot be written.
    """
    if missing := [program for program in programs if shutil.which(program) is None]:
        raise BenchmarkError(f"this needs the program {missing[0]}, which is not installed")
    check_writable()


def run_script(main: Callable[..., None]) -> None:
    """Runs a benchmark as its own command; errors are reported as `understudy` does."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(main)
    command = typer.main.get_command(app)
    refuse_no_numbers(command)
    with errors_in_a_line(), tidy_end():
        command()
