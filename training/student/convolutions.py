"""PyG's layers that students have, ready to be made.

PyG writes a class's code into the temporary folder when the first layer of it is made in a process,
imports it from there and leaves it: some files for every training, for ever. So a first layer of
each class is made here, and what it left is removed.
"""

import sys
from importlib.util import cache_from_source
from pathlib import Path

import torch
from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv

__all__ = ["GATConv", "GCNConv", "GINConv", "SAGEConv"]
GENERATED = ("propagate", "edge_updater")


def make_one_of_each() -> None:
    """Has PyG generate its code; random numbers go on as if nothing had been drawn."""
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
