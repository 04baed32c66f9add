"""Suggests the command to run next, in a form that can be pasted into a shell."""

import shlex
import shutil
import sys
from pathlib import Path
from threading import Event

import typer

# Set if this command is a step of another one, which prints its own suggestion.
step_of_another = Event()


def tell_next(*words: object, title: str = "next") -> None:
    """Prints the command that continues with the result."""
    if not step_of_another.is_set():
        typer.echo(f"{title}: {command(*words)}")


def command(*words: object) -> str:
    """Makes a command of this program, quoted for a shell."""
    return shlex.join([*program(), *map(word_of, words)])


def word_of(value: object) -> str:
    """Makes one word of a command; a path with a leading dash must not look like an option."""
    word = str(value)
    return f"./{word}" if isinstance(value, Path) and word.startswith("-") else word


def program() -> list[str]:
    """Returns how to call this program here: by its name if the shell finds it."""
    found = shutil.which("understudy")
    beside_python = Path(sys.executable).parent.resolve()
    if found is not None and Path(found).resolve().parent == beside_python:
        return ["understudy"]
    called = sys.argv[0]
    return [called] if Path(called).name == "understudy" else [sys.executable, "-m", "understudy"]


def beside(folder: Path, name: str) -> Path:
    """Finds an unused path for a folder next to another: `name`, `name-2` and so on."""
    places = (folder.parent / (f"{name}-{n}" if n > 1 else name) for n in range(1, sys.maxsize))
    return next(place for place in places if not place.exists())
