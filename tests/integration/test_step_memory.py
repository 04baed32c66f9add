"""The memory of a training step is close to the estimate."""

import json
import os
import subprocess
import sys

from tests.unit.training import step_peak
from training.config import StudentConfig
from training.memory import GraphSize, step_bytes


def test_a_step_takes_about_as_much_as_was_estimated() -> None:
    cases = [
        "sage:minilm:3",
        "gat:minilm:2",
        "sage:hashing:2",
        "sage:minilm:2:ff",
        "mlp:minilm:9:ff",
    ]
    command = [sys.executable, "-m", "tests.unit.training.step_peak", *cases]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    measured = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    characters = sum(map(len, step_peak.texts().to_pylist()))
    edges = step_peak.NODES * step_peak.DEGREE // 2
    size = GraphSize(step_peak.NODES, edges, step_peak.CLASSES, characters)
    for case, taken in json.loads(measured.stdout).items():
        kind, encoder, fanout, *others = case.split(":")
        student, hashed = StudentConfig(kind), encoder == "hashing"
        expected = step_bytes(size, student, hashed, int(fanout), bool(others))
        assert taken < expected < 2 * taken, case
