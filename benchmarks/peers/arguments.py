"""The arguments of a rival's server process."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ServerArguments:
    bundle: Path
    student: Path  # folder of the student that the bundle was exported from
    port: int
    arguments: tuple[str, ...]


def read_arguments() -> ServerArguments:
    """Reads the command line, and prints the address to standard output.

    What this process or its children print there afterwards goes to standard error, since nobody
    reads further.
    """
    bundle, student, port, *arguments = sys.argv[1:]
    sys.stdout.write(f"http://{LOOPBACK}:{port}\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    return ServerArguments(Path(bundle), Path(student), int(port), tuple(arguments))
