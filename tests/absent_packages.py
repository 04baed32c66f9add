"""Hides an installed package from the project, in this process."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

ROOMS = ("understudy", "training", "export", "service", "benchmarks")


def is_of(module: str, *packages: str) -> bool:
    return module.partition(".")[0] in packages


@contextmanager
def absent(package: str) -> Iterator[None]:
    """Within it our modules are imported anew, and whatever imports the package fails."""
    kept = {name: module for name, module in sys.modules.items() if is_of(name, package, *ROOMS)}
    for name in kept:
        if is_of(name, package):
            # None is what Python raises ModuleNotFoundError for.
            sys.modules[name] = None  # type: ignore[assignment]
        else:
            del sys.modules[name]
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if is_of(name, package, *ROOMS)]:
            del sys.modules[name]
        sys.modules.update(kept)


def command_without(package: str, words: Sequence[str]) -> int | str | None:
    """Runs a command of ours where a package is not installed; its exit status."""
    with absent(package):
        main: Callable[[Sequence[str]], Any] = import_module("understudy.cli").main
        try:
            main(words)
        except SystemExit as ended:
            return ended.code
    return 0
