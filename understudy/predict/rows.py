"""Rows of the input and of the output."""

from dataclasses import dataclass
from typing import Any

from understudy.client.models import Node

BAD_ROW = "bad_row"  # error code of a row that cannot be read


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the input: its node, or what is wrong with it.

    Attributes:
        place: line of a text file, row of a Parquet file, or position in the graph; from 1.
        where: the place in words, for messages.
    """

    place: int
    where: str
    node: Node | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A row of the output; exactly one of `label` and `error` is None."""

    row: int  # the input row's `place`
    id: str | None  # as in the input
    label: str | None
    score: float | None  # calibrated probability; None if a teacher gives none
    top: tuple[tuple[str, float], ...]  # labels with their scores, best first
    route: str | None  # which model answered: student or teacher
    graph_version: int | None
    error: str | None  # a stable code, a colon, and a message

    def value(self, with_top: bool) -> dict[str, Any]:
        """Converts to JSON, in the order of the output's columns."""
        top = [{"label": label, "score": score} for label, score in self.top]
        return {
            "row": self.row,
            "id": self.id,
            "label": self.label,
            "score": self.score,
            **({"top": top} if with_top else {}),
            "route": self.route,
            "graph_version": self.graph_version,
            "error": self.error,
        }


def failed(row: Row, error: str) -> Answer:
    """Makes the answer of a row that cannot be answered."""
    node_id = row.node.id if row.node else None
    return Answer(row.place, node_id, None, None, (), None, None, error)
