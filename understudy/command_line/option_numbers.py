"""A check for every command's numeric options: numbers, finite, and whole ones within 64 bits."""

import math
from collections.abc import Callable
from typing import Any

import typer

LARGEST_WHOLE = 2**63 - 1
READERS = {"int": (int, "a whole number"), "float": (float, "a number")}  # by typer's names


def refuse_no_numbers(command: Any) -> None:
    """Makes a command and its subcommands refuse NaN, infinity and numbers beyond 64 bits.

    A range does not refuse NaN, and an open range does not refuse infinity; no array can count to a
    whole number beyond 64 bits.

    Args:
        command: typer's command
    """
    for parameter in command.params:
        parameter.process_value = checked(parameter)
    for below in getattr(command, "commands", {}).values():
        refuse_no_numbers(below)


def checked(parameter: Any) -> Any:
    """What refuses what is no number, reads a parameter's value, and then refuses such numbers."""
    process = parameter.process_value
    reader, wanted = READERS.get(parameter.type.name.removesuffix(" range"), (str, ""))

    def process_and_check(context: Any, value: Any) -> Any:
        for written in value if isinstance(value, list | tuple) else (value,):
            if isinstance(written, str) and not can_read(reader, written):
                raise typer.BadParameter(f"{written!r} is not {wanted}.", context, parameter)
        result = process(context, value)
        several = isinstance(result, list | tuple)
        for number in result if several else (result,):
            if problem := problem_of(number):
                named = number if several else value  # as it was written
                raise typer.BadParameter(f"{named} {problem}.", context, parameter)
        return result

    return process_and_check


def can_read(reader: Callable[[str], object], written: str) -> bool:
    try:
        reader(written)
    except ValueError:
        return False
    return True


def problem_of(value: object) -> str:
    """Why a value is no number to work with; empty for others and for what is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        return f"is more than {LARGEST_WHOLE:,}"
    return ""
