"""What messages advise, in the words of Python: readers and the builder name options."""

import re
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import ParamSpec, TypeVar

from understudy.graph.building.builder import MISSING_TEXT, UNSEEN_LABELS, Rules
from understudy.graph.building.labels import NEGATIVE_LABELS
from understudy.graph.errors import BadInputError

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")

WORDS = sorted({*MISSING_TEXT, *UNSEEN_LABELS, *NEGATIVE_LABELS, "none"})  # that options take
OPTION = re.compile(rf"--([a-z]+(?:-[a-z]+)*)(?: ({'|'.join(WORDS)})\b)?")
OF_RULES = frozenset(field.name for field in fields(Rules))


def in_python(message: str) -> str:
    """A message whose options are arguments: `--missing-text skip` becomes
    `rules=Rules(missing_text="skip")`, and `--id-field` becomes `id_field`.
    """
    return OPTION.sub(argument, message)


def argument(option: re.Match[str]) -> str:
    """The argument that an option is in Python, with its value if it has one."""
    name, value = option[1].replace("-", "_"), option[2]
    if name == "skip_unknown":
        return "rules=Rules(skip_unknown=True)" + (f" {value}" if value else "")
    if value is None:
        return name
    given = f'{name}="{value}"'
    return f"rules=Rules({given})" if name in OF_RULES else given


def told_in_python(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """A function whose errors advise arguments instead of options."""

    @wraps(make)
    def translated(*arguments: Arguments.args, **named: Arguments.kwargs) -> Made:
        try:
            return make(*arguments, **named)
        except BadInputError as error:
            message = in_python(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from error

    return translated
