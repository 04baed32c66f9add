"""The teacher as it is served: one prompt at one hop, answered by the model itself.

What students learn from may be smoothed over the edges or join all hops; no server answers so.
`route: teacher` and `auto` ask about one hop, and get the model's own answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from training.deferral import TeacherCheck
from training.errors import TeacherError
from training.teacher.answers.folder import ANSWERS_FILE, TeacherInfo, View, read_info
from training.teacher.answers.views import labeled_rows, right_answers
from understudy.graph import TextGraph
from understudy.graph.prompts import WORDING

TUNED_FILE = "tuned.safetensors"


@dataclass(frozen=True, slots=True)
class TeacherRecord:
    """How a teacher is asked, and how right it was: what a student, its bundle and a server tell.

    `understudy.bundle.TeacherRecord` is the same in a bundle.
    """

    kind: str  # encoder, causal, endpoint or a registered one
    model: str  # a path, a hub id, or the name that an endpoint knows
    model_hash: str  # SHA-256 of the untuned weights; empty for an endpoint
    weights: str  # SHA-256 of the tuned ones; empty where nothing was tuned
    prompt_hash: str  # of all that a prompt depends on, besides the graph
    wording: int  # of the prompts' words, see `understudy.graph.prompts`
    hops: int  # that a question shows: of those tried, the best on validation
    prompts: Mapping[str, Any]  # the fields of `PromptOptions`
    max_tokens: int = 0  # after which the model cuts a question; 0: not known
    accuracy: float = 0.0  # on the validation nodes that it was asked about
    nodes: int = 0  # how many these are


@dataclass(frozen=True, slots=True)
class ServedTeacher:
    """A record, and which validation nodes it was right about."""

    record: TeacherRecord
    hops_tried: int
    nodes: tuple[int, ...] = field(default=())  # of the graph, rising
    right: tuple[bool, ...] = field(default=())

    def check(self, validation: NDArray[np.int64]) -> TeacherCheck:
        """The same by position in the validation nodes, int64 [B], distinct."""
        place = {node: position for position, node in enumerate(validation.tolist())}
        pairs = [(place[n], r) for n, r in zip(self.nodes, self.right, strict=True) if n in place]
        rows = np.array([position for position, _ in pairs], dtype=np.int64)
        right = np.array([right for _, right in pairs], dtype=np.bool_)
        return TeacherCheck(rows, right, self.hops_tried)


def served_teacher(folder: Path, graph: TextGraph) -> ServedTeacher | None:
    """The teacher of a folder at the hop that is best on validation, the first of equals.

    None, where it is asked no prompts, and no server can be asked in its stead.

    Raises:
        TeacherError: the folder is damaged.
    """
    info = read_info(folder)
    if not info.prompt_hash or "prompts" not in info.settings:
        return None
    nodes, log_probabilities = read_hops(folder)
    views = [View(nodes, rows) for rows in log_probabilities]
    scores = [right_answers(graph, view, "val") for view in views]
    best = int(np.argmax(scores))
    rows = labeled_rows(graph, views[best], "val")
    asked = nodes[rows]
    right = views[best].log_probabilities[rows].argmax(axis=1) == graph.labels[asked]
    accuracy = float(right.mean()) if len(right) else 0.0
    record = teacher_record(folder, info, info.hops[best], accuracy, len(right))
    return ServedTeacher(record, len(views), tuple(asked.tolist()), tuple(right.tolist()))


def read_hops(folder: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The asked nodes, int64 [M], and the model's own answers, float32 [H, M, C]; no features.

    Raises:
        TeacherError: the file is damaged.
    """
    path = folder / ANSWERS_FILE
    try:
        with safetensors.safe_open(path, "numpy") as file:
            return file.get_tensor("nodes"), file.get_tensor("log_probabilities")
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise TeacherError(f"{path} is damaged: {error}") from error


def teacher_record(
    folder: Path, info: TeacherInfo, hops: int, accuracy: float = 0.0, nodes: int = 0
) -> TeacherRecord:
    own = info.settings.get(info.kind, {})
    return TeacherRecord(
        kind=info.kind,
        model=info.model,
        model_hash=info.model_hash,
        weights=weights_hash(folder / TUNED_FILE),
        prompt_hash=info.prompt_hash,
        wording=WORDING,
        hops=hops,
        prompts=dict(info.settings.get("prompts", {})),
        max_tokens=int(own.get("max_tokens") or 0),
        accuracy=accuracy,
        nodes=nodes,
    )


def weights_hash(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
