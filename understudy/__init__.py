"""Distil a large language model into a graph network, export it to ONNX, and serve it.

Every name is loaded when it is first used, so that `import understudy` costs nothing and whoever
serves never loads torch. See docs/guides/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from understudy.extras import needed

if TYPE_CHECKING:
    from export.interface import export
    from training.interface.distill import distill
    from training.interface.evaluate import evaluate
    from training.interface.teach import teach
    from understudy.client import AsyncClient, Client, Node
    from understudy.engine import Engine, Limits
    from understudy.graph.building.builder import Rules
    from understudy.graph.folder import load_graph, save_graph
    from understudy.graph.mutations import AddEdge, DeleteNode, RemoveEdge, UpsertNode
    from understudy.graph.text_graph import TextGraph as Graph

# name: (where it is defined, what it is called there, the extra that its imports need)
NAMES = {
    "AddEdge": ("understudy.graph.mutations", "AddEdge", ""),
    "AsyncClient": ("understudy.client", "AsyncClient", ""),
    "Client": ("understudy.client", "Client", ""),
    "DeleteNode": ("understudy.graph.mutations", "DeleteNode", ""),
    "Engine": ("understudy.engine", "Engine", "service"),
    "Graph": ("understudy.graph.text_graph", "TextGraph", ""),
    "Limits": ("understudy.engine", "Limits", "service"),
    "Node": ("understudy.client", "Node", ""),  # the engine takes any node of this shape
    "RemoveEdge": ("understudy.graph.mutations", "RemoveEdge", ""),
    "Rules": ("understudy.graph.building.builder", "Rules", ""),
    "UpsertNode": ("understudy.graph.mutations", "UpsertNode", ""),
    "distill": ("training.interface.distill", "distill", "training"),
    "evaluate": ("training.interface.evaluate", "evaluate", "training"),
    "export": ("export.interface", "export", "export"),
    "load_graph": ("understudy.graph.folder", "load_graph", ""),
    "save_graph": ("understudy.graph.folder", "save_graph", ""),
    "teach": ("training.interface.teach", "teach", "training"),
}

__all__ = [
    "AddEdge",
    "AsyncClient",
    "Client",
    "DeleteNode",
    "Engine",
    "Graph",
    "Limits",
    "Node",
    "RemoveEdge",
    "Rules",
    "UpsertNode",
    "distill",
    "evaluate",
    "export",
    "load_graph",
    "save_graph",
    "teach",
]


if not TYPE_CHECKING:  # or every name that is misspelt would be one of ours

    def __getattr__(name: str) -> Any:
        """Loads a public name.

        Raises:
            ImportError: it needs an extra that is not installed, which the message names.
        """
        if name not in NAMES:
            raise AttributeError(f"module 'understudy' has no attribute {name!r}")
        module, attribute, extra = NAMES[name]
        with needed(extra):
            value = getattr(import_module(module), attribute)
        globals()[name] = value  # asked for once
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
