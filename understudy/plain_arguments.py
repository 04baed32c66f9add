"""Checks the arguments of the Python interface by their annotations, before any work: notebooks
pass NumPy's numbers, and words where a number or a list is meant. (pydantic's `validate_call` takes
"no" for False, and in strict mode refuses NumPy's numbers.)
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from inspect import signature
from os import PathLike
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from understudy.progress import Progress

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Kinds = frozenset[Any]


def plain_arguments(
    error: type[Exception],
) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """Makes a function refuse arguments that do not fit their annotations, and convert NumPy's
    numbers to Python's, as files of settings need.

    Ranges and words are left to the function, and so are annotations of other classes.

    Args:
        error: raised for an argument; the message names it.
    """

    def decorated(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        accepted = signature(function)

        @cache  # annotations are resolved when they are first needed
        def kinds() -> dict[str, Kinds]:
            return {name: kinds_of(hint) for name, hint in get_type_hints(function).items()}

        @wraps(function)
        def checked(*positional: Arguments.args, **named: Arguments.kwargs) -> Result:
            given = accepted.bind(*positional, **named)
            for name, value in given.arguments.items():
                given.arguments[name], problem = fitting(value, kinds()[name])
                if problem:
                    raise error(f"{name} {problem}")
            return function(*given.args, **given.kwargs)

        return checked

    return decorated


def kinds_of(hint: Any) -> Kinds:
    """The classes that an annotation names, without their parameters."""
    several = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return frozenset(get_origin(one) or one for one in several)


def fitting(value: Any, kinds: Kinds) -> tuple[Any, str]:
    """The value as Python's own type, and why it does not fit; "" if it does."""
    if value is None and NoneType in kinds:
        return None, ""
    if isinstance(value, np.generic):
        value = value.item()
    if Sequence in kinds:
        return several(value)
    if kinds - KNOWN:
        return value, ""
    for kind, fits, wanted in EXPECTED:
        if kind in kinds:
            return value, "" if fits(value) else f"must be {wanted}, not {value!r:.100}"
    return value, ""


def several(value: Any) -> tuple[Any, str]:
    """A list of the values, with NumPy's as Python's own."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return value, f"takes several values, such as [{value!r:.100}], not {value!r:.100}"
    return [item.item() if isinstance(item, np.generic) else item for item in value], ""


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# An annotation's class, what fits it, and what is wanted, in words; the first that it names counts.
EXPECTED: tuple[tuple[Any, Callable[[object], bool], str], ...] = (
    (bool, lambda value: isinstance(value, bool), "True or False"),
    (int, is_whole, "a whole number"),
    (float, is_number, "a number"),
    (Path, lambda value: isinstance(value, str | PathLike), "a path"),
    (str, lambda value: isinstance(value, str), "a text"),
    (Mapping, lambda value: isinstance(value, Mapping), "a dict"),
    (Progress, callable, "a function of the stage, the work done and the total"),
)
KNOWN = frozenset((NoneType, *(kind for kind, _, _ in EXPECTED)))
