"""Options shared by several commands: declared once, and passed to each command as one value."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any


def with_options(
    parameter: str, group: Callable[..., Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a decorator that adds a group's options to a command, after its own.

    Args:
        parameter: of the command, which receives the group's value.
        group: a dataclass whose fields, or a function whose parameters, are annotated as options.
    """
    shared = inspect.signature(group).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != parameter]

        @wraps(command)
        def called(**arguments: Any) -> None:
            value = group(**{name: arguments.pop(name) for name in shared})
            command(**{parameter: value}, **arguments)

        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*own, *shared.values()]
        )
        return called

    return decorate
