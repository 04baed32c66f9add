"""Which column of a file holds what: the names people use, and the names that the user gave."""

from collections.abc import Sequence
from dataclasses import dataclass

from graph.errors import BadInputError

ID_NAMES = ("id", "node_id", "nodeid", "node", "name", "key")
TEXT_NAMES = ("text", "raw_text", "raw_texts", "content")
TITLE_NAMES = ("title",)
BODY_NAMES = ("abstract", "body", "description", "summary")
LABEL_NAMES = ("label", "class", "category", "y", "section", "subject")
SPLIT_NAMES = ("split", "set", "subset", "fold")
GROUP_NAMES = ("group", "group_id")
ENDPOINT_NAMES = (
    ("source", "target"),
    ("src", "dst"),
    ("from", "to"),
    ("source_id", "target_id"),
    ("src_id", "dst_id"),
    ("head", "tail"),
    ("u", "v"),
    ("citing", "cited"),
)


@dataclass(frozen=True)
class NodeFields:
    """Column names that the user gave; an empty one is looked for among the usual names."""

    id: str = ""
    text: tuple[str, ...] = ()  # several are joined, a line each
    label: str = ""
    split: str = ""
    group: str = ""  # nodes of one group stay in one part of a random split


@dataclass(frozen=True)
class EdgeFields:
    """Column names that the user gave; empty ones are looked for among the usual names."""

    source: str = ""
    target: str = ""


@dataclass(frozen=True)
class NodeIndexes:
    """Positions of the columns; empty or None where the file has none."""

    id: int
    text: tuple[int, ...]
    label: int | None
    split: int | None
    group: int | None

    def used(self) -> tuple[int, ...]:
        """Every column in use; the texts first, whose type is the strictest."""
        others = (self.id, self.label, self.split, self.group)
        return (*self.text, *(index for index in others if index is not None))


def listed(columns: Sequence[str]) -> str:
    return ", ".join(columns) if columns else "none"


def find(columns: Sequence[str], given: str, usual: Sequence[str]) -> int | None:
    """Where the given column is, or else the first of the usual names, in any case."""
    if given:
        return list(columns).index(given) if given in columns else None
    lowered = [column.strip().lower() for column in columns]
    return next((lowered.index(name) for name in usual if name in lowered), None)


def find_texts(columns: Sequence[str], given: Sequence[str]) -> tuple[int, ...]:
    """The columns that make the text: the given ones, a text, or a title with what follows it."""
    if given:
        found = [find(columns, name, ()) for name in given]
        return tuple(index for index in found if index is not None)
    whole = find(columns, "", TEXT_NAMES)
    if whole is not None:
        return (whole,)
    parts = (find(columns, "", TITLE_NAMES), find(columns, "", BODY_NAMES))
    return tuple(index for index in parts if index is not None)


def node_indexes(where: str, columns: Sequence[str], fields: NodeFields) -> NodeIndexes:
    """Finds the columns of a node file.

    Raises:
        BadInputError: there is no id column; the message lists the columns found.
    """
    identifier = find(columns, fields.id, ID_NAMES)
    if identifier is None:
        raise missing(where, fields.id or "id", columns, "--id-field")
    return NodeIndexes(
        id=identifier,
        text=find_texts(columns, fields.text),
        label=find(columns, fields.label, LABEL_NAMES),
        split=find(columns, fields.split, SPLIT_NAMES),
        group=find(columns, fields.group, GROUP_NAMES),
    )


def edge_indexes(where: str, columns: Sequence[str], fields: EdgeFields) -> tuple[int, int]:
    """Finds the two columns of an edge file.

    Raises:
        BadInputError: one of them is missing; the message lists the columns found.
    """
    if not fields.source and not fields.target:
        for names in ENDPOINT_NAMES:
            pair = [find(columns, "", (name,)) for name in names]
            if pair[0] is not None and pair[1] is not None:
                return pair[0], pair[1]
        wanted, option = "source or target", "--source-field and --target-field"
        raise missing(where, wanted, columns, option)
    source = find(columns, fields.source, [names[0] for names in ENDPOINT_NAMES])
    target = find(columns, fields.target, [names[1] for names in ENDPOINT_NAMES])
    if source is None:
        raise missing(where, fields.source or "source", columns, "--source-field")
    if target is None:
        raise missing(where, fields.target or "target", columns, "--target-field")
    return source, target


def check_optional(where: str, columns: Sequence[str], fields: NodeFields, found: set[str]) -> None:
    """After a node file was read: everything needed or asked for was there at least once.

    Raises:
        BadInputError: it was not; the message lists the columns found.
    """
    if "text" not in found:
        wanted = " and ".join(fields.text) or "text"
        raise missing(where, wanted, columns, "--text-field")
    for name in ("label", "split", "group"):
        given = getattr(fields, name)
        if given and name not in found:
            raise missing(where, given, columns, f"--{name}-field")


def missing(where: str, name: str, columns: Sequence[str], option: str) -> BadInputError:
    return BadInputError(
        f"{where}: no column {name!r}; the columns are: {listed(columns)}; "
        f"name the right one with {option}"
    )
