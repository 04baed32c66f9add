"""A check for every command's numeric options: finite, and whole numbers within 64 bits."""

import copy
import math
from typing import Any

LARGEST_WHOLE = 2**63 - 1
FLOATS, WHOLES = ("float", "float range"), ("int", "int range")  # names of click's types


def refuse_no_numbers(command: Any) -> None:
    """Makes a command and its subcommands refuse NaN, infinity and numbers beyond 64 bits.

    A range does not refuse NaN, and an open range does not refuse infinity; no array can count to a
    whole number beyond 64 bits.

    Args:
        command: click's command, made by typer
    """
    for parameter in command.params:
        if parameter.type.name in (*FLOATS, *WHOLES):
            parameter.type = checked(parameter.type)
    for below in getattr(command, "commands", {}).values():
        refuse_no_numbers(below)


def checked(kind: Any) -> Any:
    """Copies a click type and makes it refuse such values."""
    own = copy.copy(kind)

    def convert(value: Any, parameter: Any, context: Any) -> Any:
        number = kind.convert(value, parameter, context)
        if not math.isfinite(number):
            own.fail(f"{value} is not a finite number.", parameter, context)
        if kind.name in WHOLES and abs(number) > LARGEST_WHOLE:
            own.fail(f"{value} is more than {LARGEST_WHOLE:,}.", parameter, context)
        return number

    own.convert = convert
    return own
