"""How an import read a file: the columns used, the columns ignored, and what was inferred."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN_UNREAD = 12  # a file of word counts has thousands of columns


ROLES = ("id", "text", "label")  # order in reports; others follow


@dataclass(frozen=True)
class Reading:
    """How one file was read."""

    file: str
    used: Mapping[str, Sequence[str]]  # role → columns or keys; several form one value
    unread: Sequence[str] = ()
    remarks: Sequence[str] = ()  # inferred facts, for example a delimiter
    named: bool = True  # whether the file names its columns; otherwise they are called 1, 2, …

    def __str__(self) -> str:
        used = ", ".join(f"{role}={'+'.join(names)}" for role, names in self.used.items() if names)
        parts = [used or "nothing in it"]
        if self.unread:
            more = len(self.unread) - SHOWN_UNREAD
            shown = ", ".join(name or "(no name)" for name in self.unread[:SHOWN_UNREAD])
            parts.append(f"not read: {shown}" + (f" and {more:,} more" if more > 0 else ""))
        return f"{self.file}: {'; '.join([*parts, *self.remarks])}"

    def columns(self) -> list[str]:
        """All columns of the file."""
        return [*(name for names in self.used.values() for name in names), *self.unread]

    def value(self) -> dict[str, Any]:
        """The JSON form, for the graph's meta.json."""
        return {
            "file": self.file,
            "used": {role: list(names) for role, names in self.used.items() if names},
            "unread": list(self.unread),
            "remarks": list(self.remarks),
            "named": self.named,
        }


@dataclass
class ReadingLog:
    """Collects the columns used while a file is read, whose rows may have different columns."""

    file: str
    remarks: list[str] = field(default_factory=list)
    named: bool = True
    used: dict[str, dict[str, None]] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)

    def add(self, columns: Sequence[str], roles: Mapping[str, Sequence[int]]) -> None:
        """Adds the columns of a row, and their roles."""
        self.seen.update(dict.fromkeys(columns))
        for role, indexes in roles.items():
            self.used.setdefault(role, {}).update(dict.fromkeys(columns[i] for i in indexes))

    def finish(self) -> Reading:
        taken = {name for names in self.used.values() for name in names}
        unread = [name for name in self.seen if name not in taken]
        roles = sorted(self.used, key=lambda role: ROLES.index(role) if role in ROLES else 99)
        used = {role: tuple(self.used[role]) for role in roles}
        return Reading(self.file, used, unread, tuple(self.remarks), self.named)


def text_columns(reading: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that formed the texts of a graph, in order.

    Args:
        reading: as stored with a graph.

    Returns:
        Empty if the files differ, have no column names, or do not exist.
    """
    return columns_of(reading, "text")


def neighbor_column(reading: Mapping[str, Any]) -> str:
    """The column that listed a graph's neighbours; empty if there is none."""
    return next(iter(columns_of(reading, "neighbors")), "")


def columns_of(reading: Mapping[str, Any], role: str) -> tuple[str, ...]:
    files = [file for file in reading.get("files", ()) if file["used"].get(role)]
    found = {tuple(file["used"][role]) for file in files}
    return found.pop() if len(found) == 1 and all(file.get("named") for file in files) else ()


def reading_of(texts: Sequence[str], neighbors: str = "") -> dict[str, Any]:
    """The reading of a graph that came from a service: its columns of texts and neighbours."""
    used = {"text": texts, "neighbors": (neighbors,) if neighbors else ()}
    return {"files": [Reading("as served", used).value()]} if any(used.values()) else {}


def read_of(info: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Text and neighbour columns from a service's description; empty for an older service."""
    graph = info.get("graph")
    description = graph if isinstance(graph, Mapping) else {}
    texts, neighbors = description.get("texts"), description.get("neighbors")
    return (
        tuple(map(str, texts)) if isinstance(texts, Sequence) else (),
        neighbors if isinstance(neighbors, str) else "",
    )
