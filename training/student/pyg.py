"""The parts of PyTorch Geometric that students are made of.

Its data sets, and what they import (transformers, pandas), wait until a name of theirs is read:
they take a third of the time of the import, and no command uses them.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

DATA_SETS = "torch_geometric.datasets"


class WhenUsed(Loader):
    """Executes a module when one of its names is first read."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.lock = RLock()
        self.begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def read(name: str) -> Any:
            # Whoever looks at all modules, as `inspect` does, asks for names such as `__wrapped__`.
            if name.startswith("__") and name != "__all__":
                raise AttributeError(f"{module.__name__} has no attribute {name}")
            with self.lock:
                if not self.begun:
                    self.begun = True
                    self.loader.exec_module(module)
                    del vars(module)["__getattr__"]
            return module.__getattribute__(name)

        vars(module)["__getattr__"] = read


class DataSetsWhenUsed(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != DATA_SETS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = WhenUsed(spec.loader)
        return spec


@contextmanager
def data_sets_when_used() -> Iterator[None]:
    """Within it, importing PyTorch Geometric does not execute its data sets."""
    finder = DataSetsWhenUsed()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


with data_sets_when_used():
    from torch_geometric.nn import GATConv, GCNConv, GINConv, SAGEConv
    from torch_geometric.utils import softmax

__all__ = ["GATConv", "GCNConv", "GINConv", "SAGEConv", "softmax"]
