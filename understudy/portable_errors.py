"""Errors that leave the process in which they were raised."""

import copyreg
from typing import Any


class PortableError(Exception):
    """Comes out of another process as it went in, whatever its constructor takes.

    By itself an exception is made anew of its message alone. Where the constructor takes something
    else that fails, so that a `multiprocessing.Pool` whose work raised it waits for ever.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """How `pickle` and `copy` make it again: its arguments and attributes as they are."""
        return copyreg.__newobj__, (type(self), *self.args), vars(self)  # type: ignore[attr-defined]
