"""Makes the nodes to ask about, by number: stored ones, and unseen ones linked to them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from service.messages import Node
from understudy.graph.text_graph import TextGraph

SHORT, LONG = 8, 200  # words of an unseen node's text
STRIDE = 97  # rows between two nodes that are asked about
MOST_NEIGHBORS = 16  # of an unseen node


def words_of(graph: TextGraph, row: int, count: int) -> str:
    """A text of that many words: a node's own text, repeated."""
    words = graph.texts[row].as_py().split() or ["node"]
    return " ".join((words * (count // len(words) + 1))[:count])


def node_makers(graph: TextGraph) -> dict[str, Callable[[int], Node]]:
    """A node by its number: a stored one, and unseen ones beside it with texts of two lengths."""
    ids = graph.ids

    def unseen(number: int, words: int) -> Node:
        row = number * STRIDE % graph.num_nodes
        near = graph.adjacency.neighbors(row)[:MOST_NEIGHBORS].tolist()
        # A text of its own each time, so that no cache of texts answers.
        text = f"{words_of(graph, row, words)} {number}"
        return Node(text=text, neighbors=tuple(ids[other].as_py() for other in near))

    unseen_nodes = {
        f"unseen, {words} words": partial(unseen, words=words) for words in (SHORT, LONG)
    }
    return {"stored": lambda n: Node(id=ids[n * STRIDE % graph.num_nodes].as_py()), **unseen_nodes}


def student_nodes(graph: TextGraph) -> dict[str, Callable[[int], Node]]:
    """A stored node by its number, and the same one sent as if it were unseen."""

    def unseen(number: int) -> Node:
        row = number * STRIDE % graph.num_nodes
        near = graph.adjacency.neighbors(row)[:MOST_NEIGHBORS].tolist()
        text = f"{graph.texts[row].as_py()} {number}"
        return Node(text=text, neighbors=tuple(graph.ids[other].as_py() for other in near))

    return {"stored": node_makers(graph)["stored"], "unseen": unseen}


def json_node(node: Node) -> dict[str, Any]:
    own = {"id": node.id} if node.text is None else {"text": node.text}
    return own if not node.neighbors else {**own, "neighbors": list(node.neighbors)}
