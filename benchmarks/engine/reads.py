"""Times answers against the same work in plain numpy, and the start of an engine."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common.timing import side_by_side
from service.messages import Node
from understudy.bundle import open_bundle
from understudy.bundle.student import open_student
from understudy.engine.engine import Engine

BATCH = 256
NEIGHBORS = 4
READ_BYTES = 1 << 20


def measure_lookup(engine: Engine, rounds: int = 2_000) -> dict[str, float]:
    """Microseconds for 256 stored nodes: bare numpy, the engine by row, by id, and in full."""
    state = engine.state
    generator = np.random.default_rng(0)
    rows = generator.integers(0, state.graph.num_rows, BATCH)
    ids = [state.graph.id(row) for row in rows.tolist()]
    nodes = [Node(id=node_id) for node_id in ids]
    table = state.tables.logits.base
    works = {
        "bare take and argmax": lambda: table.take(rows, axis=0).argmax(axis=1),
        "best_labels(rows)": lambda: engine.state.best_labels(rows),
        "best_labels(rows(ids))": lambda: engine.state.best_labels(engine.state.rows(ids)),
        "classify(nodes)": lambda: engine.classify(nodes),
    }
    seconds = side_by_side(works, rounds, warmup=50)
    return {name: 1e6 * value for name, value in seconds.items()}


def measure_unseen(engine: Engine, rounds: int = 2_000) -> dict[str, float]:
    """Microseconds for one unseen node after its text: the engine, and onnxruntime alone."""
    state, student = engine.state, engine.student
    hidden = state.tables.activations[0].width
    generator = random.Random(0)
    drawn = [generator.randrange(state.graph.num_rows) for _ in range(NEIGHBORS)]
    near = np.array(sorted(set(drawn)), np.int64)
    h = np.ones((1, hidden), np.float32)
    feeds: dict[str, NDArray[np.generic]] = {
        "h": h,
        "aggregated": h,
        "table": state.activations(0, near),
        "index": np.arange(len(near))[None],
        "weight": np.ones((1, len(near)), np.float32),
        "self_weight": np.ones((1, 1), np.float32),
    }

    def bare() -> None:
        for layer in student.layers:
            layer(feeds)

    works = {
        "bare onnxruntime": bare,
        "engine": lambda: student.propagate_unseen(state, h, [near]),
    }
    return {name: 1e6 * value for name, value in side_by_side(works, rounds, warmup=50).items()}


def measure_start(folder: Path, rounds: int = 5) -> dict[str, float]:
    """Seconds to be ready in a process that has imported everything, the disk's cache dropped."""
    manifest = open_bundle(folder, verify=False).manifest
    arrays = [*folder.glob("activations/*"), *folder.glob("graph/*")]

    def read() -> None:
        for path in arrays:
            read_whole(path)

    def ready() -> None:
        Engine.open(folder).close()

    results = {
        "cold read of the arrays": median_after(folder, read, rounds),
        "opening the sessions": median_after(
            folder, lambda: open_student(folder, manifest.student, 1, "cpu"), rounds
        ),
        "cold start to ready": median_after(folder, ready, rounds),
    }
    started = time.perf_counter()
    ready()
    results["start to ready, files in memory"] = time.perf_counter() - started
    bar = 3 * results["cold read of the arrays"] + results["opening the sessions"]
    return results | {
        "bar": bar,
        "array megabytes": sum(path.stat().st_size for path in arrays) / 1e6,
    }


def median_after(folder: Path, work: Callable[[], object], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        forget_files(folder)
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def forget_files(folder: Path) -> None:
    """Drops the folder's files from the operating system's cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def read_whole(path: Path) -> None:
    buffer = bytearray(READ_BYTES)
    with path.open("rb", buffering=0) as stream:
        while stream.readinto(buffer):
            pass
