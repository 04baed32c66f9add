"""Helpers for tests of files in many formats."""

from collections.abc import Callable

from understudy.graph import TextGraph
from understudy.graph.building.builder import Built
from understudy.graph.tables import reading_lines

Import = Callable[..., Built]


NODES = "id,text,label\n1,oak and ash,tree\n2,salt,stone\n3,elm,tree\n"
EDGES = "source,target\n1,2\n2,3\n"
TEXTS = ["oak and ash", "salt", "elm"]


def names(graph: TextGraph) -> list[str | None]:
    return [None if label < 0 else graph.label_names[label] for label in graph.labels]


def edges(built: Built) -> list[list[int]]:
    pairs: list[list[int]] = built.graph.adjacency.edges().tolist()
    return pairs


def remarks_of(built: Built) -> str:
    return "\n".join(reading_lines(built.graph.reading))
