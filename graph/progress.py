"""How long work reports its progress: a plain callable, drawn as bars on the command line."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol


class Progress(Protocol):
    """Called as work advances; `total` is 0 while it is unknown."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Reports nothing."""


@contextmanager
def terminal_progress() -> Iterator[Progress]:
    """Draws one bar a stage on stderr, so that stdout stays clean for results.

    Where nothing is reported, nothing is drawn, and what draws is not even loaded.
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
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, object] = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)  # type: ignore[arg-type]

        yield report
