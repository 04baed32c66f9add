"""PyG's layers for students, with their generated code prepared.

When the first layer of a class is made in a process, PyG writes the class's code into the temporary
folder, imports it from there and never deletes it. So this module makes one layer of each class and
removes the generated files.
"""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import torch

from training.student.pyg import GATConv, GCNConv, GINConv, SAGEConv

__all__ = ["GATConv", "GCNConv", "GINConv", "SAGEConv"]
GENERATED = ("propagate", "edge_updater")


def make_one_of_each() -> None:
    """Makes PyG generate its code; the state of random generators is unchanged."""
    with torch.random.fork_rng(devices=[]):
        layers = (SAGEConv(1, 1), GCNConv(1, 1), GATConv(1, 1), GINConv(torch.nn.Identity()))
    for layer in layers:
        kind = type(layer)
        for part in GENERATED:
            module = sys.modules.get(f"{kind.__module__}_{kind.__name__}_{part}")
            if module is not None and module.__file__ is not None:
                Path(module.__file__).unlink(missing_ok=True)
                Path(cache_from_source(module.__file__)).unlink(missing_ok=True)


make_one_of_each()
