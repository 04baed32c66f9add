"""`python -m understudy.command_line.tethered FD …`: a command that ends with its parent process.

FD is the reading end of a pipe whose other end the parent holds: it is closed when the parent ends,
even if it is killed and cannot stop its children. Otherwise hours of unwanted work would continue,
in parallel with a repetition of the same command.
"""

import os
import runpy
import signal
import sys
from threading import Thread

from understudy.command_line.next_step import step_of_another


def end_with(descriptor: int) -> None:
    """Waits until the other end is closed, then terminates this process."""
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Runs one command, as `python -m understudy` does."""
    descriptor = int(sys.argv.pop(1))
    os.set_inheritable(descriptor, False)
    Thread(target=end_with, args=(descriptor,), daemon=True).start()
    step_of_another.set()
    runpy.run_module("understudy", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
