"""Asks a teacher about many nodes, grouped by length, in parts that survive a kill."""

import logging
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, overload

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from training.errors import TeacherError
from training.teacher.answers.folder import HopAnswers, all_finite
from training.teacher.protocol import Answers, Teacher
from understudy.graph.files import atomic_file
from understudy.graph.prompts import Prompt
from understudy.progress import Progress, silent

PART_PROMPTS = 1_024  # answers per part; a kill loses at most one part
STAGE = "Asking the teacher"
# Nats; a probability of 0 would be infinite, which breaks means over hops and losses.
LEAST = np.float32(-100)
ROUNDING = 0.02  # of a sum of probabilities in low precision
log = logging.getLogger(__name__)


Write = Callable[[int, int], Prompt]  # of a node and a hop


class WrittenPrompts(Sequence[Prompt]):
    """Prompts that are written on access and not stored."""

    def __init__(self, write: Write, node_hops: NDArray[np.int64]) -> None:
        """Shapes: node_hops: int64 [P, 2], each one's node and hop."""
        self.write, self.node_hops = write, node_hops

    def __len__(self) -> int:
        return len(self.node_hops)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...

    @overload
    def __getitem__(self, index: slice) -> "WrittenPrompts": ...

    def __getitem__(self, index: int | slice) -> "Prompt | WrittenPrompts":
        if isinstance(index, slice):
            return WrittenPrompts(self.write, self.node_hops[index])
        node, hop = self.node_hops[index].tolist()
        return self.write(node, hop)

    def at(self, positions: Sequence[int]) -> "WrittenPrompts":
        return WrittenPrompts(self.write, self.node_hops[np.asarray(positions, dtype=np.int64)])


@dataclass(frozen=True, slots=True)
class Questions:
    """Distinct prompts, and the index of each node's prompt at each hop.

    Shapes:
        which: int64 [H, M], positions in `prompts`
        sizes: int32 [P], characters of each prompt
    """

    prompts: WrittenPrompts
    which: NDArray[np.int64]
    sizes: NDArray[np.int32]


def gather_questions(write: Write, hops: Sequence[int], nodes: NDArray[np.int64]) -> Questions:
    """The prompts of every hop and node; equal ones (of nodes without neighbours) are asked once.

    Each is written once here, for its digest and its size, and again when it is asked.
    """
    pairs = np.stack([np.tile(nodes, len(hops)), np.repeat(hops, len(nodes))], axis=1)
    digests = np.empty(len(pairs), dtype=[("high", np.uint64), ("low", np.uint64)])
    sizes = np.empty(len(pairs), dtype=np.int32)
    for row, prompt in enumerate(WrittenPrompts(write, pairs)):
        described = prompt.description.encode()  # the instruction is the same for all
        digests[row] = struct.unpack("QQ", blake2b(described, digest_size=16).digest())
        sizes[row] = len(prompt.text)
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    order = np.argsort(first)  # in order of first occurrence
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    kept = first[order]
    which = place[inverse].reshape(len(hops), len(nodes))
    return Questions(WrittenPrompts(write, pairs[kept]), which, sizes[kept])


class AskParts(Protocol):
    """Answers parts, by number, in any order; a part's answers are in its prompts' order."""

    def __call__(
        self,
        teacher: Teacher,
        parts: Mapping[int, WrittenPrompts],
        tokens_per_batch: int,
        report: Callable[[int], None],
    ) -> Iterator[tuple[int, Answers]]:
        """
        Args:
            report: called, where it is known, with the number of answers beside whole parts.
        """
        ...


def ask_here(
    teacher: Teacher,
    parts: Mapping[int, WrittenPrompts],
    tokens_per_batch: int,
    report: Callable[[int], None],
) -> Iterator[tuple[int, Answers]]:
    """Answers the parts in sequence in this process."""
    for number, part in parts.items():
        yield number, answer_part(teacher, list(part), tokens_per_batch, report)


def extract(
    teacher: Teacher,
    questions: Questions,
    nodes: NDArray[np.int64],
    folder: Path,
    tokens_per_batch: int,
    progress: Progress = silent,
    part_prompts: int = PART_PROMPTS,
    ask_parts: AskParts = ask_here,
    check_room: Callable[[int], None] = lambda missing: None,
) -> HopAnswers:
    """Asks all prompts; parts that `folder` already holds are not asked again.

    Args:
        check_room: is called before any is asked, with how many are missing.

    Parts and batches depend on the prompts alone, so that a resumed run, or one on a cluster, gives
    the same bytes.
    """
    prompts = questions.prompts
    order = asking_order(questions)
    parts = [order[start : start + part_prompts] for start in range(0, len(order), part_prompts)]
    missing = {
        number: prompts.at(part)
        for number, part in enumerate(parts)
        if not is_whole(part_path(folder, number))
    }
    check_room(sum(map(len, missing.values())))
    done = len(prompts) - sum(map(len, missing.values()))

    def report(count: int) -> None:
        progress(STAGE, done + count, len(prompts))

    report(0)
    for number, answers in ask_parts(teacher, missing, tokens_per_batch, report):
        save_part(part_path(folder, number), answers)
        done += len(missing[number])
        report(0)
    values = [load_file(part_path(folder, number)) for number in range(len(parts))]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    rows = place[questions.which]  # [H, M]
    features = None
    if "features" in values[0]:
        features = np.concatenate([value["features"] for value in values])[rows]
    log_probabilities = np.concatenate([value["log_probabilities"] for value in values])[rows]
    return HopAnswers(nodes, np.maximum(log_probabilities, LEAST), features)


def asking_order(questions: Questions) -> list[int]:
    """Shorter prompts first; a node's prompts stay together, since they share a prefix."""
    sizes = questions.sizes
    owner = np.empty(len(sizes), dtype=np.int64)
    columns = np.arange(questions.which.shape[1])
    owner[questions.which[:, ::-1]] = columns[::-1]  # one of the nodes that ask it
    longest = sizes[questions.which].max(axis=0)
    order: list[int] = np.lexsort((sizes, owner, longest[owner])).tolist()
    return order


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.safetensors"


def is_whole(path: Path) -> bool:
    """Whether answers exist, are readable and finite; a power failure may leave damaged ones."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            wrong = [name for name in names if not all_finite(file.get_tensor(name))]
    except SafetensorError as error:
        log.warning("%s is damaged (%s); asking its questions again", path, error)
        return False
    if wrong:
        log.warning(
            "%s is damaged (%s holds no numbers); asking its questions again", path, wrong[0]
        )
    return not wrong


def save_part(path: Path, answers: Answers) -> None:
    arrays: dict[str, NDArray[np.floating]] = {"log_probabilities": answers.log_probabilities}
    if answers.features is not None:
        arrays["features"] = half(answers.features)
    with atomic_file(path) as temporary:
        save_file(arrays, temporary)


def half(features: NDArray[np.floating]) -> NDArray[np.float16]:
    """Converts to half precision; larger values are clipped."""
    limit = float(np.finfo(np.float16).max)
    halved: NDArray[np.float16] = np.clip(features, -limit, limit).astype(np.float16)
    return halved


def answer_part(
    teacher: Teacher,
    prompts: Sequence[Prompt],
    tokens_per_batch: int,
    report: Callable[[int], None] = lambda count: None,
) -> Answers:
    """The answers in the prompts' order, asked in batches of similar length.

    Args:
        report: called after every batch with the number of answers so far.

    Raises:
        TeacherError: its batches omit a prompt, or its answers are not log-probabilities.
    """
    batches = teacher.batches(prompts, tokens_per_batch)
    if sorted(index for batch in batches for index in batch) != list(range(len(prompts))):
        raise TeacherError(
            f"the teacher's batches must hold each of {len(prompts)} prompts once, by its position"
        )
    answers: list[Answers] = []
    count = 0
    for batch in batches:
        answers.append(teacher.answer([prompts[i] for i in batch]))
        check_answers(answers[-1], len(batch))
        count += len(batch)
        report(count)
    place = np.empty(len(prompts), dtype=np.int64)
    place[[index for batch in batches for index in batch]] = np.arange(len(prompts))
    log_probabilities = np.concatenate([a.log_probabilities for a in answers])[place]
    shown = [a.features for a in answers if a.features is not None]
    return Answers(log_probabilities, np.concatenate(shown)[place] if shown else None)


def check_answers(answers: Answers, count: int) -> None:
    """Refuses answers that are not probabilities.

    Raises:
        TeacherError: there is not one row per prompt, or a row is no distribution.
    """
    rows, features = answers.log_probabilities, answers.features
    if rows.ndim != 2 or len(rows) != count or (features is not None and len(features) != count):
        raise TeacherError(f"the teacher must give {count} prompts as many rows of answers")
    sums = np.exp(rows.astype(np.float64)).sum(axis=1)
    wrong = sums[~(np.abs(sums - 1) <= ROUNDING)]
    if len(wrong):
        raise TeacherError(
            "the teacher must answer with log-probabilities, whose exponentials add up to 1 in "
            f"every row; those of one add up to {wrong[0]:.3g}"
        )
    if features is not None and not np.isfinite(features).all():
        raise TeacherError("the teacher shows features that are not finite")
