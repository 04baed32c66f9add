"""Peak memory of one step on sampled neighbours: `python -m tests.unit.training.step_peak`.

In a process of its own, where what was freed before is not taken again unseen: what is freed goes
back to the system at once where MALLOC_MMAP_THRESHOLD_ is small.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from training.config import CONSTANTS, LABELS, StudentConfig, TrainingConfig
from training.data import GraphData, Targets, edges
from training.encoders.features import Features, hashed_features, hashing_spec
from training.loop import ALONE, batches, begin, run_epoch
from training.losses.objectives import CrossEntropy, Term
from training.losses.probabilities import Frequencies
from training.memory import BATCH, DENSE_WIDTH
from training.student.network import Student
from understudy.graph.csr import build_adjacency
from understudy.graph.hashing import HashingOptions
from understudy.graph.readers.vocabulary import topic_words
from understudy.graph.text_graph import string_array

NODES, DEGREE, CLASSES, WORDS, BUCKETS = 20_000, 12, 5, 20, 2**12


def kilobytes(name: str) -> int:
    """Of this process, as Linux counts it: VmRSS, or VmHWM for the most since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


def texts() -> pa.LargeStringArray:
    words = np.random.default_rng(1).choice(topic_words(200).ravel(), (NODES, WORDS))
    return string_array(" ".join(row) for row in words.tolist())


def drawn_features(hashed: bool) -> Features:
    if not hashed:
        return torch.randn(NODES, DENSE_WIDTH)
    return hashed_features(texts(), hashing_spec(HashingOptions(buckets=BUCKETS))).gathered()


def knowing() -> Targets:
    """A teacher that says something about every node."""
    every, none = torch.ones(NODES, dtype=torch.bool), torch.zeros(NODES, dtype=torch.bool)
    said = torch.randn(NODES, CLASSES).log_softmax(1)
    return Targets((0,), every, every, none, said, None, "hop 0", 1.0)


def peak_of_a_step(kind: str, hashed: bool, fanout: int, around: bool) -> int:
    """Bytes, beside what there was before it; the second step's, since the first makes more.

    Args:
        around: with an objective, too, that reads the outputs of neighbours
    """
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    pairs = generator.integers(0, NODES, (NODES * DEGREE // 2, 2))
    adjacency = build_adjacency(NODES, pairs)[0]
    none = torch.empty(0, dtype=torch.int64)
    data = GraphData(
        features=drawn_features(hashed),
        edges=edges(adjacency),
        labels=torch.from_numpy(generator.integers(0, CLASSES, NODES)),
        train=torch.arange(BATCH),
        val=none,
        test=none,
        adjacency=adjacency,
    )
    width = BUCKETS if hashed else DENSE_WIDTH
    student = Student(StudentConfig(kind), width, CLASSES, hashed)
    config = TrainingConfig(batch_size=BATCH, fanout=fanout)
    terms = [Term(LABELS, 1.0, CrossEntropy())]
    if around:
        frequencies = Frequencies(data, knowing(), student.config, CONSTANTS)
        frequencies.reach = "train"  # so that an epoch is a step
        terms.append(Term("ff", 1.0, frequencies))
    run = begin(student, terms, config, ALONE)
    epochs = batches(run, data, terms, config, ALONE)
    run_epoch(student, next(epochs), terms, run.optimizer)
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is what there is now
    run_epoch(student, next(epochs), terms, run.optimizer)
    return 1024 * (kilobytes("VmHWM") - before)


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {}
    for word in sys.argv[1:]:  # such as sage:hashing:3, or sage:hashing:3:ff
        kind, encoder, fanout, *objectives = word.split(":")
        found[word] = peak_of_a_step(kind, encoder == "hashing", int(fanout), bool(objectives))
    sys.stdout.write(json.dumps(found))
