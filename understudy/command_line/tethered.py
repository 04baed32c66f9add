"""`python -m understudy.command_line.tethered FD …`: a command that ends with whoever runs it.

FD is the reading end of a pipe of which that process has the other: it is closed with the process,
also where that is killed and can end nobody. Else hours of work would go on that nobody waits for,
beside those of the same command, run again.
"""

import os
import runpy
import signal
import sys
from threading import Thread

from understudy.command_line.next_step import step_of_another


def end_with(descriptor: int) -> None:
    """Waits until the other end is closed, and asks this process to end."""
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
