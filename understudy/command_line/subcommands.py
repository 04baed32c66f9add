"""Commands of this program that run others of it, each as a process of its own."""

import os
import subprocess
import sys

from understudy.command_line.next_step import word_of

TETHERED = "understudy.command_line.tethered"


def run_command(*words: object) -> int:
    """Runs one understudy command to its end, and returns its exit status.

    It is in a group of its own: so it is asked to end once, by us, and not by the terminal's
    Ctrl-C, too. Where this process is killed, it ends by itself, see the module `TETHERED`.
    """
    held, ours = os.pipe()  # `ours` closes with this process, however that ends
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
