"""What an import made of a file: which columns it used, which it left unread, what it guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN_UNREAD = 12  # a file of word counts has thousands of columns


ROLES = ("id", "text", "label")  # the order in which they are told; others follow


@dataclass(frozen=True)
class Reading:
    """One file as it was read."""

    file: str
    used: Mapping[str, Sequence[str]]  # role → columns or keys; several make one value
    unread: Sequence[str] = ()
    remarks: Sequence[str] = ()  # what was found out rather than said, for example a delimiter
    named: bool = True  # whether the file names its columns; else they are called 1, 2, …

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
        """As JSON, for the graph's meta.json."""
        return {
            "file": self.file,
            "used": {role: list(names) for role, names in self.used.items() if names},
            "unread": list(self.unread),
            "remarks": list(self.remarks),
            "named": self.named,
        }


@dataclass
class ReadingLog:
    """Collects what is used while the rows of a file pass, whose columns may differ."""

    file: str
    remarks: list[str] = field(default_factory=list)
    named: bool = True
    used: dict[str, dict[str, None]] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)

    def add(self, columns: Sequence[str], roles: Mapping[str, Sequence[int]]) -> None:
        """Notes the columns of a row, and which of them play which role."""
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
    """The columns that made the texts of a graph, in their order.

    Args:
        reading: as a graph keeps it.

    Returns:
        Empty where its files differ in them, name no columns, or are none.
    """
    return columns_of(reading, "text")


def neighbor_column(reading: Mapping[str, Any]) -> str:
    """The column that listed a graph's neighbours; empty where there is none, as above."""
    return next(iter(columns_of(reading, "neighbors")), "")


def columns_of(reading: Mapping[str, Any], role: str) -> tuple[str, ...]:
    files = [file for file in reading.get("files", ()) if file["used"].get(role)]
    found = {tuple(file["used"][role]) for file in files}
    return found.pop() if len(found) == 1 and all(file.get("named") for file in files) else ()


def reading_of(texts: Sequence[str], neighbors: str = "") -> dict[str, Any]:
    """What a graph keeps that comes from where it was served: which columns made its texts, and
    which listed its neighbours."""
    used = {"text": texts, "neighbors": (neighbors,) if neighbors else ()}
    return {"files": [Reading("as served", used).value()]} if any(used.values()) else {}


def read_of(info: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Both of what a service says of itself; empty of one of before."""
    graph = info.get("graph")
    told = graph if isinstance(graph, Mapping) else {}
    texts, neighbors = told.get("texts"), told.get("neighbors")
    return (
        tuple(map(str, texts)) if isinstance(texts, Sequence) else (),
        neighbors if isinstance(neighbors, str) else "",
    )
