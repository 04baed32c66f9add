"""How long work reports its progress: a plain callable, drawn as bars on the command line."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """Called as work advances; `total` is 0 while it is unknown."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Reports nothing."""


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Draws one bar a stage on stderr, so that stdout stays clean for results.

    A stage called "read …" counts bytes or values, of which only the share is shown. Where
    nothing is reported, nothing is drawn, and what draws is not even loaded.
    """
    with ExitStack() as stack:
        drawn: list[Progress] = []

        def report(stage: str, done: int, total: int) -> None:
            if not drawn:
                drawn.append(stack.enter_context(bars_on_stderr()))
            drawn[0](stage, done, total)

        yield report


@contextmanager
def bars_on_stderr() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None, amount="")
            told = amount(stage, done, total)
            bars.update(tasks[stage], completed=done, total=total or None, amount=told)

        yield report


def amount(stage: str, done: int, total: int) -> str:
    """How far a stage is, in words."""
    if stage.startswith("read ") and total:
        return f"{done / total:.0%}"
    return f"{done:,}/{total:,}" if total else f"{done:,}"
