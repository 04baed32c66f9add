"""The progress of a refresh: a small file in its folder, so that the same command can resume."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from understudy.graph.files import write_json
from understudy.retraining.errors import RefreshError

FILE = "refresh.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Round:
    """One refresh, from fetching the graph to replacing the model.

    Attributes:
        about: digest of options and served model; a round with another one starts anew.
        done: the finished steps.
        ended: whether it finished, with or without a new model.
        refused: whether its model was refused.
        before: version of the bundle that was served when it began.
        served, found: validation accuracies of the served and the new model; -1 until known.
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
    """Refuses a folder that is neither empty nor a refresh's, since its content is replaced.

    Raises:
        RefreshError: it holds something else.
    """
    if not work.exists() or (work / FILE).is_file():
        return
    if not work.is_dir():
        raise RefreshError(f"{work} is a file; give a folder to work in")
    others = sorted(path.name for path in work.iterdir() if not path.name.startswith("."))
    if others:
        raise RefreshError(
            f"{work} contains {others[0]} and is not the folder of an earlier refresh; choose a "
            "new or empty folder"
        )


def read_round(work: Path) -> Round | None:
    """Reads the last round; None if there was none.

    Raises:
        RefreshError: the file is damaged, or of a newer release.
    """
    path = work / FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise RefreshError(f"{path} is damaged: {error}; remove it to start over") from error
    try:
        last = Round(**value)
    except TypeError as error:
        raise RefreshError(f"{path} is damaged: {error}; remove it to start over") from error
    if last.refresh_format != FORMAT:
        raise RefreshError(
            f"{path} has format {last.refresh_format}, but this release reads only {FORMAT}; "
            "remove it to start over"
        )
    return last


def write_round(work: Path, current: Round) -> None:
    write_json(work / FILE, asdict(current))
