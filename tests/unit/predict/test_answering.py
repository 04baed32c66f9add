"""How rows are combined into requests."""

from collections.abc import Sequence

from understudy.client import Node as ClientNode
from understudy.engine import Node
from understudy.predict.answering import pieces
from understudy.predict.rows import Row


def test_rows_are_cut_by_what_they_cost() -> None:
    stored, text = Node(id="a"), Node(text="a")
    wide = Node(text="a", neighbors=("b",) * 160)

    def sizes(nodes: Sequence[Node], most: int) -> list[int]:
        rows = [asked_row(node) for node in nodes]
        cut = list(pieces(rows, most))
        assert [row for piece in cut for row in piece] == rows
        return [len(piece) for piece in cut]

    assert sizes([stored] * 20, 16) == [16, 4]
    assert sizes([text] * 5, 16) == [2, 2, 1]
    assert sizes([stored, wide, wide, stored], 18) == [1, 1, 1, 1]
    assert sizes([wide], 1) == [1]
    assert sizes([], 1) == []


def asked_row(node: Node) -> Row:
    return Row(1, "in:1", ClientNode(node.id, node.text, node.neighbors))
