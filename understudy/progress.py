"""Progress of long work: a plain callable, shown as bars or printed as lines."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

FIRST_LINE = 2.0  # seconds of a stage before its first line
NEXT_LINE = 10.0  # seconds between two lines of a stage
GLANCE = 0.5  # seconds between two checks whether a line is due


class Progress(Protocol):
    """Called as work advances; `total` is 0 if unknown, and 1 if nothing is counted."""

    def __call__(self, stage: str, done: int, total: int) -> None: ...


def silent(stage: str, done: int, total: int) -> None:
    """Reports nothing."""


@contextmanager
def step(progress: Progress, stage: str) -> Iterator[None]:
    """Reports a stage without countable progress, such as loading a model."""
    progress(stage, 0, 1)
    yield
    progress(stage, 1, 1)


def named(progress: Progress, name: str) -> Progress:
    """Adds a name to the stages of one of several similar runs."""
    return lambda stage, done, total: progress(f"{stage} ({name})", done, total)


def tell_on_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


@contextmanager
def terminal_progress(tell: Callable[[str], None] = tell_on_stderr) -> Iterator[Progress]:
    """Draws one bar per stage on stderr, so that stdout stays clean; in a file or CI, lines.

    For a stage called "read …", which counts bytes or values, only the share is shown. If nothing
    is reported, nothing is drawn, and the drawing library is not loaded.

    Args:
        tell: prints a line.
    """
    with ExitStack() as stack:
        shown: list[Progress] = []

        def report(stage: str, done: int, total: int) -> None:
            if not shown:
                way = bars_on_stderr() if draws_bars() else lines(tell)
                shown.append(stack.enter_context(way))
            shown[0](stage, done, total)

        yield report


def draws_bars() -> bool:
    """Whether stderr is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


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
            amount_done = amount(stage, done, total)
            bars.update(tasks[stage], completed=done, total=total or None, amount=amount_done)

        yield report


def amount(stage: str, done: int, total: int) -> str:
    """The progress of a stage as text; empty if nothing is counted."""
    if total == 1:
        return ""
    if stage.startswith("read ") and total:
        return f"{done / total:.0%}"
    return f"{done:,}/{total:,}" if total else f"{done:,}"


@contextmanager
def lines(tell: Callable[[str], None] = tell_on_stderr) -> Iterator[Progress]:
    """Prints a line for a stage every few seconds, even without reports, and when it ends."""
    printer, ended = Lines(tell), threading.Event()

    def watch() -> None:
        while not ended.wait(GLANCE):
            try:
                printer.glance()
            except OSError:  # stderr is closed; the next report raises it in the working thread
                return

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield printer
    finally:
        ended.set()
        watcher.join()


@dataclass(slots=True)
class Stage:
    """The progress of a stage; times are in seconds of a clock."""

    began: float
    due: float  # time of the next line
    first: int  # count when it began
    done: int
    total: int
    ended: bool = False


class Lines:
    """Progress as lines: the first after some seconds, then at intervals, and one at the end."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.tell, self.clock = tell, clock
        self.lock = threading.Lock()
        self.stages: dict[str, Stage] = {}  # ordered by last report

    def __call__(self, stage: str, done: int, total: int) -> None:
        with self.lock:
            now, known = self.clock(), self.stages.get(stage)
            if known is None or done < known.done:  # starts, or starts again
                known = Stage(now, now + FIRST_LINE, done, done, total)
            self.stages.pop(stage, None)
            self.stages[stage] = known
            known.done, known.total = done, total
            if total and done >= total and not known.ended:
                known.ended = True
                self.tell(f"{stage}: {self.end_of(stage, known, now)}")
            self.tell_if_due(now)

    def glance(self) -> None:
        """Prints a line for the stage reported last, if it has not ended and a line is due."""
        with self.lock:
            self.tell_if_due(self.clock())

    def tell_if_due(self, now: float) -> None:
        for name, stage in reversed(self.stages.items()):
            if not stage.ended:
                if now >= stage.due:
                    stage.due = now + NEXT_LINE
                    self.tell(f"{name}: {self.course_of(name, stage, now)}")
                return

    def end_of(self, name: str, stage: Stage, now: float) -> str:
        count = "" if stage.total == 1 else f"{amount(name, stage.done, stage.total)}, "
        return f"{count}done in {duration(now - stage.began)}"

    def course_of(self, name: str, stage: Stage, now: float) -> str:
        """Count, speed and remaining time; without progress, the time passed."""
        passed, made = now - stage.began, stage.done - stage.first
        words = [word for word in [amount(name, stage.done, stage.total)] if word]
        if not made:
            return ", ".join([*words, f"for {duration(passed)}"])
        if not name.startswith("read "):
            words.append(
                f"{made / passed:,.1f} a second"
                if made > passed
                else f"{passed / made:,.1f} s each"
            )
        if stage.total:
            words.append(f"{duration(passed / made * (stage.total - stage.done))} left")
        return ", ".join(words)


def duration(seconds: float) -> str:
    """Formats a duration in at most two units, for example "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
