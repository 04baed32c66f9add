"""What every command's numbers have in common: they are finite, and can be counted in 64 bits."""

import copy
import math
from typing import Any

LARGEST_WHOLE = 2**63 - 1
FLOATS, WHOLES = ("float", "float range"), ("int", "int range")  # as typer's click calls them


def refuse_no_numbers(command: Any) -> None:
    """Has a command, and those below it, refuse what passes for a number and is none.

    NaN is neither below nor above the ends of a range, and infinity is in every range that is open
    above; a whole number of more than 64 bits is one that no array can count.

    Args:
        command: of click, as typer makes it
    """
    for parameter in command.params:
        if parameter.type.name in (*FLOATS, *WHOLES):
            parameter.type = checked(parameter.type)
    for below in getattr(command, "commands", {}).values():
        refuse_no_numbers(below)


def checked(kind: Any) -> Any:
    """A type of click that refuses such values."""
    own = copy.copy(kind)

    def convert(value: Any, parameter: Any, context: Any) -> Any:
        number = kind.convert(value, parameter, context)
        if not math.isfinite(number):
            own.fail(f"{value} is no finite number.", parameter, context)
        if kind.name in WHOLES and abs(number) > LARGEST_WHOLE:
            own.fail(f"{value} is above {LARGEST_WHOLE:,}.", parameter, context)
        return number

    own.convert = convert
    return own
