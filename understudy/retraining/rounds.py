"""How far a refresh has come: a small file in its folder, so that the same command goes on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from understudy.graph.files import write_json
from understudy.retraining.errors import RefreshError

FILE = "refresh.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Round:
    """One refresh, from the graph that it takes to the model that it puts in place.

    Attributes:
        about: what was asked for, and of which served model; another one begins anew.
        done: the steps that are behind it.
        ended: it was carried through, or came to nothing.
        refused: its model was.
        before: version of the bundle that was served when it began.
        served, found: accuracies on validation of that one and the new one; -1 until known.
    """

    about: str
    before: str
    done: list[str] = field(default_factory=list)
    ended: bool = False
    refused: bool = False
    served: float = -1.0
    found: float = -1.0
    refresh_format: int = FORMAT


def check_work(work: Path) -> None:
    """Sees that a folder is a refresh's own, or empty: what lies in it will be replaced.

    Raises:
        RefreshError: something else lies there.
    """
    if not work.exists() or (work / FILE).is_file():
        return
    if not work.is_dir():
        raise RefreshError(f"{work} is a file; name a folder to work in")
    others = sorted(path.name for path in work.iterdir() if not path.name.startswith("."))
    if others:
        raise RefreshError(
            f"{work} holds {others[0]}, and is no folder of an earlier refresh; name one of its own"
        )


def read_round(work: Path) -> Round | None:
    """The last one; None where there was none.

    Raises:
        RefreshError: the file is damaged, or of a newer release.
    """
    path = work / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RefreshError(f"{path} is damaged: {error}; remove it to begin anew") from error
    try:
        found = Round(**value)
    except TypeError as error:
        raise RefreshError(f"{path} is damaged: {error}; remove it to begin anew") from error
    if found.refresh_format != FORMAT:
        raise RefreshError(
            f"{path} has format {found.refresh_format}, this release reads {FORMAT}; remove it to "
            "begin anew"
        )
    return found


def write_round(work: Path, current: Round) -> None:
    write_json(work / FILE, asdict(current))
