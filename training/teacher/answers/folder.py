"""A teacher's answers on disk: teacher.json and answers.safetensors.

Tuned weights are in tuned.safetensors, a causal model's adapter also in adapter/ in peft's format,
and the descriptions of labels in label_descriptions.json.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from training.errors import StaleTeacherError, TeacherError
from understudy.folders.places import path_problem
from understudy.graph import TextGraph
from understudy.graph.files import CHANGED, check_readable, digest_of, write_json
from understudy.graph.splits import labeled_nodes

FORMAT_VERSION = 2  # in 1, answers about training nodes were learned from these nodes' labels
ANSWERS_FILE = "answers.safetensors"
DESCRIPTIONS_FILE = "label_descriptions.json"
REMEDY = "restore the folder, or run `understudy teach` again"
VALUES_A_STEP = 2**22  # that are checked at once

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TeacherInfo:
    """The origin of answers; written as teacher.json."""

    kind: str  # encoder, causal, endpoint or a registered one
    model: str  # a path, a hub id, or the name that an endpoint knows
    model_hash: str  # SHA-256 of the untuned weights; empty for an endpoint
    prompt_hash: str
    graph_hash: str
    graph_name: str
    label_names: tuple[str, ...]
    hops: tuple[int, ...]  # that were asked about, ascending
    settings: Mapping[str, Any] = field(default_factory=dict)  # of prompts, tuning, requests
    metrics: Mapping[str, float] = field(default_factory=dict)  # accuracy per hop, seconds, tokens
    answers: str = ""  # SHA-256 of the described arrays; empty in earlier releases
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class View:
    """One way to read a teacher's answers.

    Shapes:
        nodes: int64 [K], ascending; there are no answers about others
        log_probabilities: float32 [K, C]
    """

    nodes: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HopAnswers:
    """Answers about M nodes at H hops.

    Heads and smoothing never use a training node's own label for the answer about it. Only a
    transformer that was tuned on the node cannot leave its label out.

    Shapes:
        nodes: int64 [M], ascending; the graph's other nodes were not asked about
        log_probabilities: float32 [H, M, C]
        features: float16 [H, M, d_T], or None
        joint: float32 [M, C], log-probabilities from all hops' features at once, or None
        smoothed: answers spread over the edges, about all nodes that they reach, or None
        tuned: int64, ascending: the training nodes whose labels are in the transformer's weights,
            and so in its features and answers about them
    """

    nodes: NDArray[np.int64]
    log_probabilities: NDArray[np.float32]
    features: NDArray[np.float16] | None = None
    joint: NDArray[np.float32] | None = None
    smoothed: View | None = None
    tuned: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def write_teacher(folder: Path, info: TeacherInfo, answers: HopAnswers) -> None:
    """Writes a teacher's files into an existing folder."""
    arrays: dict[str, NDArray[np.generic]] = {
        "nodes": answers.nodes,
        "log_probabilities": answers.log_probabilities,
        "tuned": answers.tuned,
    }
    if answers.features is not None:
        arrays["features"] = answers.features
    if answers.joint is not None:
        arrays["joint"] = answers.joint
    if answers.smoothed is not None:
        arrays["smoothed_nodes"] = answers.smoothed.nodes
        arrays["smoothed"] = answers.smoothed.log_probabilities
    saved = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    info = replace(info, answers=digest_of(saved))
    save_file(saved, folder / ANSWERS_FILE, {"answers": info.answers})
    if described := info.settings.get("prompts", {}).get("label_descriptions"):
        write_json(folder / DESCRIPTIONS_FILE, dict(described))
    write_json(folder / "teacher.json", asdict(info))


def check_together(folder: Path, info: TeacherInfo) -> str:
    """Refuses answers that do not belong to a description; returns their digest as recorded, or ""
    for those of earlier releases.

    Raises:
        TeacherError: they do not match; see also `read_teacher`.
        OSError, SafetensorError: there are no answers, or they are damaged.
    """
    with safetensors.safe_open(folder / ANSWERS_FILE, "numpy") as file:
        recorded = str((file.metadata() or {}).get("answers", ""))
    if recorded and info.answers and recorded != info.answers:
        raise TeacherError(
            f"{folder}: {ANSWERS_FILE} and teacher.json belong to different teachers; run the same "
            "command again if the folder was just rewritten, else make it again with `understudy "
            "teach`"
        )
    return recorded


def read_info(folder: Path) -> TeacherInfo:
    """Reads teacher.json.

    Raises:
        TeacherError: not a teacher folder, damaged, or of a newer format.
    """
    path = folder / "teacher.json"
    if (folder / "student.safetensors").is_file():
        raise TeacherError(
            f"{folder} is a student folder; `understudy teach GRAPH OUT --teacher {folder}` makes "
            "a teacher folder of it"
        )
    if not path.is_file():
        raise TeacherError(
            path_problem(folder)
            or f"{folder} is not a teacher folder (no teacher.json); make one with `understudy "
            "teach`"
        )
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        version = int(value["format_version"])
        if version > FORMAT_VERSION:
            raise TeacherError(
                f"{folder} has teacher format {version}, this release reads up to "
                f"{FORMAT_VERSION}; update understudy"
            )
        tuples = {"label_names": tuple(value["label_names"]), "hops": tuple(value["hops"])}
        return TeacherInfo(**{**value, **tuples})
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise TeacherError(
            f"{path} is damaged: {error}; restore the folder, or move it away and run `understudy "
            "teach` again"
        ) from error


def check_graph(folder: Path, info: TeacherInfo, name: str, content_hash: str) -> None:
    """Refuses answers about another graph than the one of this name and hash.

    Raises:
        StaleTeacherError: they are about another one, or about an earlier state of it.
    """
    if info.graph_hash != content_hash:
        raise StaleTeacherError(
            f"{folder} holds answers about {info.graph_name} with content hash "
            f"{str(info.graph_hash)[:12]}, but {name} has {content_hash[:12]}; run `understudy "
            "teach` on this graph"
        )


def read_teacher(folder: Path, graph: TextGraph) -> tuple[TeacherInfo, HopAnswers]:
    """Reads a teacher folder and checks that it is about this graph.

    Raises:
        TeacherError: not a teacher folder, damaged, or mixed from two.
        StaleTeacherError: the answers are about another graph.
    """
    info = read_info(folder)
    check_graph(folder, info, graph.name, graph.content_hash)
    if info.label_names != graph.label_names:  # answers are indices into these names
        raise TeacherError(
            f"{folder / 'teacher.json'} is damaged: it names other labels than the graph, or in "
            f"another order; {REMEDY}"
        )
    try:
        arrays = read_arrays(folder, info)
        smoothed = arrays.get("smoothed")
        answers = HopAnswers(
            arrays["nodes"],
            arrays["log_probabilities"],
            arrays.get("features"),
            arrays.get("joint"),
            None if smoothed is None else View(arrays["smoothed_nodes"], smoothed),
            arrays["tuned"] if info.format_version > 1 else labeled_nodes(graph, "train"),
        )
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise unreadable(folder / ANSWERS_FILE, error) from error
    check_arrays(folder / ANSWERS_FILE, info, graph, answers)
    if info.kind == "endpoint" and (tied := tied_answers(answers.log_probabilities)):
        log.warning(
            "%s is of an earlier release, which lost which label the endpoint named in %d answers: "
            "they say of two or more labels that none is likelier; remove the folder and run "
            "`understudy teach` again, which takes the answers that are kept",
            folder,
            tied,
        )
    if info.format_version == 1:
        log.warning(
            "%s is of an earlier release, whose answers about training nodes are their labels: "
            "nothing is learned from those; run `understudy teach` again to have them",
            folder,
        )
        if answers.smoothed is not None:
            answers = replace(answers, smoothed=without(answers.smoothed, answers.tuned))
    return info, answers


def read_arrays(folder: Path, info: TeacherInfo) -> dict[str, NDArray[Any]]:
    """The arrays of a teacher's answers, as they were written.

    Raises:
        TeacherError: they belong to another teacher than `info`.
        OSError, SafetensorError, ValueError: they are missing, damaged or changed.
    """
    path = folder / ANSWERS_FILE
    arrays: dict[str, NDArray[Any]] = load_file(check_readable(path))
    recorded = check_together(folder, info)
    if recorded and recorded != digest_of(dict(sorted(arrays.items()))):
        raise ValueError(CHANGED)
    return arrays


def unreadable(path: Path, error: Exception) -> TeacherError:
    """The error for a file of answers that cannot be read."""
    if isinstance(error, PermissionError):
        return TeacherError(f"{error.filename}: {error.strerror}")
    if isinstance(error, FileNotFoundError):
        return TeacherError(f"{path.parent} is damaged: {path.name} is missing; {REMEDY}")
    return TeacherError(f"{path} is damaged: {error}; {REMEDY}")


def tied_answers(log_probabilities: NDArray[np.float32]) -> int:
    """Counts the answers [H, M, C] whose most probable label is several; uniform ones name none."""
    best = log_probabilities.max(axis=2, keepdims=True, initial=-np.inf)
    likeliest = (log_probabilities == best).sum(axis=2)
    return int(((likeliest > 1) & (likeliest < log_probabilities.shape[2])).sum())


def without(view: View, nodes: NDArray[np.int64]) -> View:
    """A view without answers about some nodes."""
    kept = ~np.isin(view.nodes, nodes)
    return View(view.nodes[kept], view.log_probabilities[kept])


def check_arrays(path: Path, info: TeacherInfo, graph: TextGraph, answers: HopAnswers) -> None:
    """Refuses answers that training could not use, before it starts.

    Raises:
        TeacherError: an array has another shape, names a missing node, or holds a value that is not
            finite.
    """
    count, classes = len(answers.nodes), graph.num_classes
    features, smoothed = answers.features, answers.smoothed
    width = None if features is None or features.ndim < 3 else features.shape[2]
    shapes = {
        "log_probabilities": (answers.log_probabilities, (len(info.hops), count, classes)),
        "features": (features, (len(info.hops), count, width)),
        "joint": (answers.joint, (count, classes)),
        "smoothed": (
            None if smoothed is None else smoothed.log_probabilities,
            () if smoothed is None else (len(smoothed.nodes), classes),
        ),
    }
    for name, (array, expected) in shapes.items():
        if array is None:
            continue
        if array.shape != expected:
            raise TeacherError(
                f"{path}: {name} has shape {array.shape}, expected {expected}; {REMEDY}"
            )
        if not all_finite(array):
            raise TeacherError(
                f"{path} is damaged: {name} holds values that are not finite; {REMEDY}"
            )
    nodes = {"nodes": answers.nodes, "tuned": answers.tuned}
    nodes |= {} if smoothed is None else {"smoothed_nodes": smoothed.nodes}
    for name, rows in nodes.items():
        if rows.ndim != 1 or rows.dtype != np.int64 or not are_rising(rows, graph.num_nodes):
            raise TeacherError(
                f"{path} is damaged: {name} must be nodes of {graph.name}, each once, rising; "
                f"{REMEDY}"
            )


def all_finite(values: NDArray[np.generic]) -> bool:
    """Whether no value is NaN or infinite; checked in parts to save memory."""
    flat = values.reshape(-1)
    parts = (flat[start : start + VALUES_A_STEP] for start in range(0, len(flat), VALUES_A_STEP))
    return all(bool(np.isfinite(part).all()) for part in parts)


def are_rising(nodes: NDArray[np.int64], count: int) -> bool:
    """Whether these are distinct positions below `count`, in ascending order."""
    inside = not len(nodes) or (nodes[0] >= 0 and nodes[-1] < count)
    return bool(inside and (np.diff(nodes) > 0).all())
