"""Commands of this program that run others of it, each as a process of its own."""

import subprocess
import sys

from understudy.graph.next_step import word_of


def run_command(*words: object) -> int:
    """Runs one understudy command to its end, and returns its exit status.

    It is in a group of its own: so it is asked to end once, by us, and not by the terminal's
    Ctrl-C, too.
    """
    arguments = [word_of(word) for word in words]
    process = subprocess.Popen([sys.executable, "-m", "understudy", *arguments], process_group=0)
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
