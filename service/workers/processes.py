"""Starting a worker process, and noticing its end."""

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
# What the supervisor's event loop handles; a child begins with the defaults.
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# What a signal that nobody sent may be of.
GUESSES = {
    signal.SIGKILL: "is the memory too small?",
    signal.SIGBUS: "was a file of the bundle or of the data folder cut short while it was read?",
}


class Worker:
    """One process, as the supervisor knows it.

    Attributes:
        loaded: what it said when its bundle was loaded.
        serving: whether it accepts requests.
        figures: the newest that are known.
        reason: why it cannot serve, if it said so.
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
    """Starts a child that does some work and ends with it.

    It shares the memory of all that was imported, copied where it is written to. To be called
    where no thread of ours runs; those of pyarrow's and onnxruntime's libraries are not used
    before the fork.

    Args:
        work: gets the child's end of a pair of sockets.
        foreign: descriptors that the child must not keep, or it would not be seen that the
            supervisor is gone.

    Returns:
        The child's number, and this side's end of the pair.
    """
    ours, theirs = socket.socketpair()
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads, see above
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
    """Does the work in the child; nothing of the supervisor's stack runs in it."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # a signal to the child would be the supervisor's
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
            sys.stderr.flush()
        finally:  # whatever was raised: the supervisor's stack must not go on here
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
    """An exit status in words."""
    if status >= 0:
        return f"with status {status}"
    number = signal.Signals(-status)
    return f"by {number.name}" + (f" ({GUESSES[number]})" if number in GUESSES else "")
