"""Standard input, output and error of a process, whatever it was started with."""

import logging
import os
import sys
from collections.abc import Iterable

import typer

NAMES = ("stdin", "stdout", "stderr")  # by descriptor
CLOSED: set[str] = set()  # the names of those that `open_closed_ones` had to open


def open_closed_ones() -> None:
    """Opens the null device in place of streams that are closed, as after `>&-`, and notes their
    names in CLOSED.

    Otherwise Python has None in their place, and the next file or socket takes their descriptor, so
    that what a library writes to standard error ends up there.
    """
    CLOSED.clear()
    for number, name in enumerate(NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))
            CLOSED.add(name)


def announce(lines: Iterable[str], log: logging.Logger) -> None:
    """Prints what somebody may wait for; where stdout takes nothing the log has it instead.

    A service goes on: its reader may be gone, as after `| head -1`, or the disk be full.
    """
    messages = list(lines)
    try:
        for line in messages:
            typer.echo(line)
        sys.stdout.flush()
    except OSError as error:
        log.warning("stdout cannot be written (%s): %s", error.strerror, "; ".join(messages))
        drop_stdout()


def drop_stdout() -> None:
    """Has it lead to nowhere, so that what is left of it raises nothing at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
