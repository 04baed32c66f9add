"""Options that several commands share: declared once, and handed to each as one value."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any


def with_options(
    parameter: str, group: Callable[..., Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator that gives a command the options of a group, behind its own.

    Args:
        parameter: of the command, which takes what the group makes of its options.
        group: a dataclass whose fields, or a function whose parameters, are annotated as options.
    """
    shared = inspect.signature(group).parameters

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != parameter]

        @wraps(command)
        def called(**given: Any) -> None:
            value = group(**{name: given.pop(name) for name in shared})
            command(**{parameter: value}, **given)

        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [*own, *shared.values()]
        )
        return called

    return decorate
