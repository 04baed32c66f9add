"""The kinds of folders that commands write, and how each is recognised.

A folder is of a kind if it has the kind's JSON file with the kind's keys. The kind also knows the
names of all its files, so that everything else in the folder is known to be the user's.
"""

import json
import os
from collections.abc import Container, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

MANIFEST_KEY = "files"  # key of a marker that lists the folder's files


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of folder.

    Attributes:
        title: its name in messages
        marker: the file that identifies it
        keys: required keys of the marker's JSON object
        patterns: for the names of its other files, relative to the folder; `*` also matches slashes
        grows: files are added and never replaced, so foreign files may be in it
    """

    title: str
    marker: str
    keys: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    grows: bool = False


GRAPH = Kind(
    "graph folder",
    "meta.json",
    ("format_version", "content_hash", "label_names"),
    ("nodes.parquet", "edges.parquet"),
)
TEACHER = Kind(
    "teacher folder",
    "teacher.json",
    ("format_version", "prompt_hash", "graph_hash"),
    ("answers.safetensors", "tuned.safetensors", "label_descriptions.json", "adapter/*"),
)
STUDENT = Kind(
    "student folder",
    "config.json",
    ("format_version", "graph_hash", "graph_path", "student", "encoder"),
    (
        "student.safetensors",
        "metrics.json",
        "calibration.json",
        "curves.json",
        "served_teacher.json",
    ),
)
BUNDLE = Kind(
    "bundle",
    "manifest.json",
    ("student", "encoder", "graph", MANIFEST_KEY),
    ("activations/", "encoder/", "graph/", "student/"),  # listed for when they are empty
)
REPOSITORY = Kind("Triton repository", "understudy.json", ("triton", MANIFEST_KEY))
EVALUATION = Kind(
    "evaluation folder",
    "plan.json",
    ("graph_hash", "split_kind", "teacher", "trials"),
    (
        *("runs/*.json", "search/*.json", "splits/*", "teachers/*"),
        *("map.json", "summary.json", "runs.parquet", "runs.csv", "report.md", "*.png"),
    ),
    grows=True,
)
BACKUP = Kind("backup", "backup.json", ("backup_format", "graph_version", MANIFEST_KEY))
KINDS = (GRAPH, TEACHER, STUDENT, BUNDLE, REPOSITORY, EVALUATION, BACKUP)


def kind_of(folder: Path) -> Kind | None:
    """The kind of a folder; None if it is not ours."""
    return next((kind for kind in KINDS if marked(folder, kind) is not None), None)


def marked(folder: Path, kind: Kind) -> dict[str, Any] | None:
    """The marker's content, if the folder is of this kind."""
    try:
        value = json.loads((folder / kind.marker).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # no marker, or not one of ours
    return value if isinstance(value, dict) and value.keys() >= set(kind.keys) else None


def first_foreign(folder: Path, kind: Kind | None, passing: Container[str] = ()) -> str | None:
    """The first entry, relative to the folder, that this kind does not write, or None.

    Args:
        kind: the result of `kind_of`; None knows no files.
        passing: names in the folder itself to ignore.
    """
    known: tuple[str, ...] = ()
    if kind is not None:
        known = (kind.marker, *kind.patterns, *listed_files(folder, kind))
    literal = set(known)
    for name in leaves(folder, passing):
        if name not in literal and not any(fnmatchcase(name, pattern) for pattern in known):
            return name
    return None


def listed_files(folder: Path, kind: Kind) -> tuple[str, ...]:
    """The files that the marker of such a kind lists."""
    if MANIFEST_KEY not in kind.keys:
        return ()
    files = (marked(folder, kind) or {}).get(MANIFEST_KEY)  # none where the marker is lost
    return tuple(map(str, files)) if isinstance(files, list | dict) else ()


def leaves(folder: Path, passing: Container[str]) -> Iterator[str]:
    """Files, links and empty folders below a folder, by their names relative to it."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        if here == folder:
            folders[:] = [name for name in folders if name not in passing]
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (here / name).relative_to(folder).as_posix()
        if here != folder and not folders and not files:
            yield here.relative_to(folder).as_posix() + "/"
