"""Starts a worker process, and waits for its end."""

import asyncio
import logging
import os
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic
from typing import NoReturn

from service.telemetry.figures import Figures
from service.workers.channel import Channel
from service.workers.messages import Loaded

logger = logging.getLogger(__name__)
# Signals that the supervisor's event loop handles; a child starts with the defaults.
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Possible causes of a signal that no person sent.
GUESSES = {
    signal.SIGKILL: "perhaps memory ran out",
    signal.SIGBUS: "perhaps a file of the bundle or of the data folder was truncated while it was "
    "read",
}


class Worker:
    """One worker process, from the supervisor's view.

    Attributes:
        loaded: its report after its bundle was loaded.
        serving: whether it accepts requests.
        figures: its latest metrics.
        reason: why it cannot serve, if it reported that.
    """

    def __init__(self, number: int, process: int, channel: Channel) -> None:
        self.number = number
        self.process = process
        self.channel = channel
        self.started = monotonic()
        self.loaded: Loaded | None = None
        self.serving = False
        self.grpc: str | None = None
        self.figures = Figures()
        self.reason = ""

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(self.process, number)


def fork(
    work: Callable[[socket.socket], None], foreign: Iterable[int]
) -> tuple[int, socket.socket]:
    """Forks a child that runs `work` and then exits.

    The child shares the memory of everything imported, copy-on-write. Call it only while no thread
    of ours runs but the log's, which a child begins anew; the threads of pyarrow and onnxruntime
    are not used before the fork.

    Args:
        work: gets the child's end of a pair of sockets.
        foreign: descriptors that the child must close, so that the supervisor's end is noticed.

    Returns:
        The child's process id, and this side's end of the pair.
    """
    ours, theirs = socket.socketpair()
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # about threads, see above
            process = os.fork()
        if process == 0:
            become(work, theirs, (ours.fileno(), *foreign))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    theirs.close()
    return process, ours


def become(
    work: Callable[[socket.socket], None], end: socket.socket, foreign: Iterable[int]
) -> NoReturn:
    """Runs `work` in the child, and exits without returning to the supervisor's stack."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # otherwise the child's signals would wake the supervisor
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        asyncio._set_running_loop(None)
        for descriptor in foreign:
            os.close(descriptor)
        work(end)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        logger.exception("a worker failed")
    finally:
        try:
            sys.stdout.flush()
            logging.shutdown()
        finally:  # after any error: the supervisor's stack must not continue in the child
            os._exit(status)


async def ended(process: int) -> int:
    """Waits for a child's end; returns its exit status, or minus the signal that ended it."""
    descriptor = os.pidfd_open(process)
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def words(status: int) -> str:
    """Describes an exit status in words."""
    if status >= 0:
        return f"with status {status}"
    number = signal.Signals(-status)
    return f"by {number.name}" + (f" ({GUESSES[number]})" if number in GUESSES else "")
