"""Runs other commands of this program, each in its own process."""

import os
import subprocess
import sys

from understudy.command_line.next_step import word_of

TETHERED = "understudy.command_line.tethered"


def run_command(*words: object) -> int:
    """Runs one understudy command to its end, and returns its exit status.

    The command has its own process group, so that a Ctrl-C reaches it once, through this process,
    and not also from the terminal. If this process is killed, the command ends by itself, see the
    module `TETHERED`.
    """
    held, ours = os.pipe()  # `ours` is closed when this process ends, for any reason
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                TETHERED,
                str(held),
                *map(word_of, words),
            ],
            process_group=0,
            pass_fds=(held,),
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
    finally:
        os.close(held)
        os.close(ours)
