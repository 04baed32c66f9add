"""The lineage of a graph: its identity across changes, shared by all models of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.graph.text_graph import TextGraph


@dataclass(frozen=True, slots=True)
class Lineage:
    """The origin of a graph, and a position in its log of changes.

    Attributes:
        id: the content hash that the graph had when it was imported.
        position: in the log of its changes; 0 as it was imported.
    """

    id: str
    position: int = 0


def lineage_of(graph: "TextGraph") -> Lineage:
    """A graph's lineage; a graph without one starts a new lineage."""
    return graph.lineage or Lineage(graph.content_hash)


def lineage_value(lineage: Lineage) -> dict[str, Any]:
    """The lineage as a value for JSON."""
    return {"id": lineage.id, "position": lineage.position}


def parse_lineage(value: Any) -> Lineage:
    """Parses the output of `lineage_value`.

    Raises:
        ValueError: the value is something else.
    """
    try:
        name, position = value["id"], value["position"]
    except (TypeError, KeyError) as error:
        raise ValueError(f"not a lineage: {value!r}") from error
    if not isinstance(name, str) or not name:
        raise ValueError(f"a lineage's id is {name!r}")
    if type(position) is not int or position < 0:
        raise ValueError(f"a lineage's position is {position!r}")
    return Lineage(name, position)
