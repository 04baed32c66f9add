"""The working folder of a refresh: where each step writes, and the student that it starts from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from understudy.bundle import Manifest, open_bundle
from understudy.folders.kinds import STUDENT, marked
from understudy.retraining.errors import RefreshError
from understudy.retraining.placing import put_copy


class Work:
    """Places in the working folder; they survive a round, and the next one replaces them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.graph = folder / "graph"  # the current graph
        self.doubts = folder / "hard.json"  # of the served model about each node
        self.teacher = folder / "teacher"  # its answers about the graph
        self.candidate = folder / "candidate"  # the new student, which may still be refused
        self.bundle = folder / "bundle"  # the candidate's
        self.student = folder / "student"  # the served bundle's; the next round starts from it
        self.previous = folder / "previous"  # the bundle that was served before


def version_of(bundle: Path) -> str:
    """The version of the model in a bundle."""
    return open_bundle(bundle, verify=False).manifest.version


def starting_student(work: Work, bundle: Path, served: Manifest, given: Path | None) -> Path:
    """Finds the student to start from: that of the served bundle, if known, else the given one.

    It is the last round's candidate if that round did not finish and its bundle was served by other
    means, for example after --no-reload.

    Args:
        bundle: folder of the served bundle.
        given: with --student.

    Raises:
        RefreshError: the served bundle's student is unknown, and none is given.
    """
    if is_exported_from(served, work.student):
        return work.student
    if is_exported_from(served, work.candidate):
        put_copy(work.candidate, work.student)
        return work.student
    if given is not None:
        return given
    raise RefreshError(
        f"{work.student} does not hold the student that {bundle} was exported from; give that "
        "student, or a similar one, with --student"
    )


def is_exported_from(manifest: Manifest, student: Path) -> bool:
    """Whether a bundle was exported from a student; compares graph and metrics."""
    config = marked(student, STUDENT)
    if config is None or config["graph_hash"] != manifest.graph.content_hash:
        return False
    metrics = json.loads((student / "metrics.json").read_text(encoding="utf-8"))
    return bool(metrics == manifest.metrics)


def config_of(student: Path) -> Mapping[str, Any]:
    """Reads config.json of a student.

    Raises:
        RefreshError: it is not a student folder.
    """
    config = marked(student, STUDENT)
    if config is None:
        raise RefreshError(f"{student} is not a student folder")
    return config
