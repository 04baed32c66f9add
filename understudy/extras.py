"""What to say where a package is missing that an extra brings."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

OURS = ("understudy", "training", "export", "service", "benchmarks")


@contextmanager
def needed(extra: str) -> Iterator[None]:
    """What is imported in the block needs an extra; empty: the core alone.

    Raises:
        ImportError: a package of it is missing; the message is one line that names the extra.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if is_own(str(error.name)):
            raise
        raise ImportError(advice(str(error.name), extra), name=error.name) from error


def advice(module: str, extra: str) -> str:
    """What is missing, and what brings it.

    Args:
        module: that was not found.
    """
    project = f"understudy-gnn[{extra}]" if extra else "understudy-gnn"
    return (
        f"this needs the package {module.partition('.')[0]}, which is not installed: "
        f"pip install '{project}'"
    )


def is_own(module: str) -> bool:
    """Whether a module is Python's or ours, so that its absence is a fault of ours."""
    name = module.partition(".")[0]
    return name in sys.stdlib_module_names or name in OURS
