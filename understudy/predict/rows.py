"""What is asked and what is answered, one row of a file each."""

from dataclasses import dataclass
from typing import Any

from understudy.client.models import Node

BAD_ROW = "bad_row"  # the code of an error that the file is to blame for


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the input: its node, or what is wrong with it.

    Attributes:
        place: line of a text file, row of a Parquet file, or position in the graph; from 1.
        where: the same in words, for messages.
    """

    place: int
    where: str
    node: Node | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A row of the output; either `label` or `error` is None."""

    row: int  # as the input's `place`
    id: str | None  # as given
    label: str | None
    score: float | None  # calibrated probability; None where a teacher tells none
    top: tuple[tuple[str, float], ...]  # labels with their scores, best first
    route: str | None  # who answered: student or teacher
    graph_version: int | None
    error: str | None  # a stable code, a colon, and words for people

    def value(self, with_top: bool) -> dict[str, Any]:
        """As JSON, in the order of the output's columns."""
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
    """The answer to a row that has none."""
    asked = row.node.id if row.node else None
    return Answer(row.place, asked, None, None, (), None, None, error)
