"""Modules that a training command does not import at its start, but can later."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import inspect, sys
import training.student.network
assert inspect.getmodule(training.student.network.Student) is training.student.network
print(sorted({"transformers", "pandas", "torch_geometric.llm"} & set(sys.modules)))
import torch_geometric
from torch_geometric.datasets import KarateClub
print(KarateClub.__module__, torch_geometric.datasets.KarateClub is KarateClub)
print(hasattr(torch_geometric.datasets, "nothing"), "Planetoid" in torch_geometric.datasets.__all__)
"""


def test_students_are_imported_without_data_sets_which_load_when_they_are_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[]",
        "torch_geometric.datasets.karate True",
        "False True",
    ]
