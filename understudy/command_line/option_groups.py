"""Options shared by several commands: declared once, and passed to each command as one value."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any


def with_options(
    parameter: str, group: Callable[..., Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a decorator that puts a group's options into a command, where the parameter stands.

    Args:
        parameter: of the command, which receives the group's value; keyword-only if options with
            defaults stand before it.
        group: a dataclass whose fields, or a function whose parameters, are annotated as options.
    """
    shared = inspect.signature(group).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())
        place = next(number for number, entry in enumerate(own) if entry.name == parameter)
        options = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in shared.values()]

        @wraps(command)
        def called(**arguments: Any) -> None:
            value = group(**{name: arguments.pop(name) for name in shared})
            command(**{parameter: value}, **arguments)

        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*own[:place], *options, *own[place + 1 :]]
        )
        return called

    return decorate
