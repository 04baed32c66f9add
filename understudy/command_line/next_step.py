"""What a command says to run next, so that it can be pasted into a shell."""

import shlex
import shutil
import sys
from pathlib import Path
from threading import Event

import typer

# Set where this command is a step of another one, which says itself what comes next.
step_of_another = Event()


def tell_next(*words: object) -> None:
    """Prints the command that goes on with what has been made."""
    if not step_of_another.is_set():
        typer.echo(f"next: {command(*words)}")


def command(*words: object) -> str:
    """A command of this program as a shell reads it."""
    return shlex.join([*program(), *map(word_of, words)])


def word_of(value: object) -> str:
    """One word of a command; a path that begins with a dash is not to be read as an option."""
    word = str(value)
    return f"./{word}" if isinstance(value, Path) and word.startswith("-") else word


def program() -> list[str]:
    """How this program is called here: by its name alone where the shell finds it by that."""
    found = shutil.which("understudy")
    if found is not None and Path(found).parent == Path(sys.executable).parent:
        return ["understudy"]
    called = sys.argv[0]
    return [called] if Path(called).name == "understudy" else [sys.executable, "-m", "understudy"]


def beside(folder: Path, name: str) -> Path:
    """A folder beside another that is not there yet: `name`, `name-2` and so on."""
    places = (folder.parent / (f"{name}-{n}" if n > 1 else name) for n in range(1, sys.maxsize))
    return next(place for place in places if not place.exists())
