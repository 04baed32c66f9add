"""Gives every column of a node or edge file its role, and refuses what is missing or doubtful."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from understudy.graph.errors import BadInputError, MissingColumnError
from understudy.graph.readers import usual_names as usual
from understudy.graph.readers.finding import (
    NOT_READ,
    find,
    find_class_name,
    find_id,
    find_masks,
    find_texts,
    label_names,
    usual_pair,
)
from understudy.graph.readers.usual_names import check_named, plain

SHOWN = 40  # columns listed in a message
SHOWN_CHARACTERS = 100  # of each column's name
OPTIONS = {  # for roles whose option has another name
    "class_name": "--label-field",
    "loose_split": "--split-field",
    "masks": "--split-field",
}


@dataclass(frozen=True)
class NodeFields:
    """Column names that the user gave; for empty ones, the usual names are searched.

    `none` for a label, a split, a group or neighbours means that no column is read.

    Raises:
        BadInputError: a name is invalid.
    """

    id: str = ""
    text: tuple[str, ...] = ()  # several are joined, one per line
    label: str = ""
    split: str = ""
    group: str = ""  # nodes of one group stay in one part of a random split; only if given
    neighbors: str = ""  # searched only without an edge file
    text_needed: bool = True  # whether a file without a text column is refused

    def __post_init__(self) -> None:
        check_named(id_field=self.id, label_field=self.label, split_field=self.split)
        check_named(group_field=self.group, neighbors_field=self.neighbors)

    def named(self) -> tuple[str, ...]:
        """The names that were given."""
        single = (self.id, self.label, self.split, self.group, self.neighbors)
        return tuple(name for name in (*single, *self.text) if name)


@dataclass(frozen=True)
class EdgeFields:
    """Column names that the user gave; for empty ones, the usual names are searched.

    Raises:
        BadInputError: a name is invalid.
    """

    source: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        check_named(source_field=self.source, target_field=self.target)

    def named(self) -> tuple[str, ...]:
        """The names that were given."""
        return tuple(name for name in (self.source, self.target) if name)


@dataclass(frozen=True)
class NodeIndexes:
    """Positions of the columns; empty or None for missing ones."""

    id: int
    text: tuple[int, ...]
    label: int | None
    class_name: int | None  # may name the classes whose numbers are in `label`
    split: int | None
    loose_split: bool  # its name is ambiguous: it counts only if it holds splits
    masks: tuple[int | None, int | None, int | None]  # of train, val, test
    group: int | None
    neighbors: int | None

    def roles(self) -> dict[str, tuple[int, ...]]:
        """The columns by role; texts first, because their type is the strictest."""
        split = "loose_split" if self.loose_split else "split"
        single = {
            "id": self.id,
            "label": self.label,
            "class_name": self.class_name,
            split: self.split,
            "group": self.group,
            "neighbors": self.neighbors,
        }
        masks = tuple(index for index in self.masks if index is not None)
        several = {"text": self.text, "masks": masks}
        roles = {name: indexes for name, indexes in several.items() if indexes}
        return roles | {name: (index,) for name, index in single.items() if index is not None}

    def used(self) -> tuple[int, ...]:
        return tuple(index for indexes in self.roles().values() for index in indexes)


def listed(columns: Sequence[str]) -> str:
    """Lists columns for a message, truncated, as tables of word counts have thousands."""
    more = len(columns) - SHOWN
    names = [column.strip()[:SHOWN_CHARACTERS] or "(no name)" for column in columns[:SHOWN]]
    shown = ", ".join(names) or "none"
    return f"{shown} and {more:,} more" if more > 0 else shown


def node_indexes(where: str, columns: Sequence[str], fields: NodeFields) -> NodeIndexes:
    """Finds the columns of a node file.

    Raises:
        BadInputError: there is no id column, or a used column's name occurs twice, ignoring case;
            the message lists the columns.
    """
    identifier = find_id(columns, fields.id)
    if identifier is None:
        nameless = not fields.id and any(not column.strip() for column in columns)
        advice = INDEX_ADVICE if nameless else ""
        raise missing(where, fields.id or "id", columns, "--id-field", advice)
    named_label = find(columns, fields.label, ()) if fields.label else None
    labeled = () if named_label is None else (named_label,)
    text = find_texts(columns, fields.text, labeled, identifier)
    taken = (identifier, *text)
    label = find(columns, fields.label, label_names(columns), taken)
    if label in taken:
        role = "id" if label == identifier else "text"
        raise BadInputError(
            f"{where}: column {fields.label!r} would be a node's {role} and its label as well; "
            "name another one with --label-field, or read none with --label-field none"
        )
    group = find(columns, fields.group or NOT_READ, ())
    if group is not None and group in (identifier, label):
        whole = "every node" if group == identifier else "each class"
        raise BadInputError(
            f"{where}: with --group-field {fields.group}, {whole} would be a group of its own, as "
            f"column {columns[group]!r} is also a node's {'id' if group == identifier else 'label'}"
            "; nodes of a group stay in one part of a split: name what they share, or leave it out"
        )
    split = find(columns, fields.split, usual.SPLIT_NAMES, taken)
    others = taken if label is None else (*taken, label)
    none = (None, None, None)
    masks = find_masks(columns, others) if split is None and not fields.split else none
    loose = split is None and masks == none and not fields.split
    indexes = NodeIndexes(
        id=identifier,
        text=text,
        label=label,
        class_name=find_class_name(columns, fields.label, label, taken),
        split=find(columns, "", usual.LOOSE_SPLIT_NAMES, taken) if loose else split,
        loose_split=loose,
        masks=masks,
        group=group,
        neighbors=find(columns, fields.neighbors, usual.NEIGHBOR_NAMES),
    )
    check_single(where, columns, indexes.roles(), fields.named())
    return indexes


def check_single(
    where: str,
    columns: Sequence[str],
    roles: Mapping[str, Sequence[int]],
    named: Collection[str],
) -> None:
    """Refuses a used column if another has the same name, ignoring case.

    Raises:
        BadInputError: see `twice`.
    """
    if problem := twice(columns, roles, named):
        raise BadInputError(f"{where}: {problem}")


def twice(
    columns: Sequence[str], roles: Mapping[str, Sequence[int]], named: Collection[str]
) -> str | None:
    """The problem if two columns mean the same and one of them is used, or None.

    Args:
        roles: role → positions of its columns.
        named: columns that the user gave, which resolves the choice between `ID` and `id`.
    """
    for role, indexes in roles.items():
        for name in (columns[index] for index in indexes):
            advice = f"(all: {listed(columns)}); rename one of them"
            if columns.count(name) > 1:
                return f"there are two columns {name!r} {advice}"
            same = [column for column in columns if plain(column) == plain(name)]
            if len(same) > 1 and name not in named:
                option = OPTIONS.get(role, f"--{role}-field")
                return (
                    f"there are two columns {same[0]!r} and {same[1]!r}, which mean the same "
                    f"{advice}, or name the right one with {option}"
                )
    return None


def edge_indexes(where: str, columns: Sequence[str], fields: EdgeFields) -> tuple[int, int]:
    """Finds the two columns of an edge file.

    Raises:
        BadInputError: one of them is missing, or its name occurs twice, ignoring case; the message
            lists the columns.
    """
    pair = usual_pair(columns)
    if not fields.source and not fields.target and pair is None:
        raise MissingColumnError(
            f"{where}: no two columns are called like the ends of an edge, such as source and "
            f"target; the columns are: {listed(columns)}; name the right ones with --source-field "
            "and --target-field"
        )
    source, target = pair or (None, None)
    if fields.source or fields.target:
        firsts, seconds = zip(*usual.ENDPOINT_NAMES, strict=True)
        source = find(columns, fields.source, firsts)
        target = find(columns, fields.target, seconds)
    if source is None:
        raise missing(where, fields.source or "source", columns, "--source-field")
    if target is None:
        raise missing(where, fields.target or "target", columns, "--target-field")
    check_single(where, columns, {"source": (source,), "target": (target,)}, fields.named())
    if source == target:
        raise BadInputError(
            f"{where}: column {columns[source]!r} would be both ends of every edge (all columns: "
            f"{listed(columns)}); name one with --source-field and the other with --target-field"
        )
    return source, target


def numbered_node_fields(fields: NodeFields, width: int) -> NodeFields:
    """The fields of a file without a header: id, text and label in this order, unless given.

    With more than three columns, no text is guessed.
    """
    few = width <= 3
    label = "3" if width == 3 and not fields.text else NOT_READ
    text = fields.text or (("2",) if few else ())
    return replace(fields, id=fields.id or "1", text=text, label=fields.label or label)


def check_text(
    where: str, columns: Sequence[str], fields: NodeFields, used: Collection[str]
) -> None:
    """Checks after reading a node file that it had the needed texts.

    Args:
        used: the columns that formed the text

    Raises:
        BadInputError: it had none, or not all that were requested; the message lists the columns.
    """
    if fields.text_needed and not (used and has_all(used, fields.text)):
        if not fields.text and fields.label not in ("", NOT_READ) and find_texts(columns, ()):
            raise BadInputError(
                f"{where}: column {fields.label!r} is the label, as --label-field says, and no "
                f"other is known to hold texts; the columns are: {listed(columns)}; name the one "
                f"that does with --text-field{TEXT_ADVICE}"
            )
        wanted = " and ".join(fields.text) or "text"
        raise missing(where, wanted, columns, "--text-field", TEXT_ADVICE)


def has_all(names: Collection[str], wanted: Collection[str]) -> bool:
    return {name.lower() for name in wanted} <= {name.lower() for name in names}


def check_named_columns(
    where: str,
    columns: Sequence[str],
    fields: NodeFields,
    used: Mapping[str, Collection[str]],
) -> None:
    """Checks after reading all node files that every requested column occurred at least once.

    Args:
        used: role → its columns

    Raises:
        BadInputError: one did not; the message lists the columns found.
    """
    if not has_all(used.get("text", ()), fields.text):
        raise missing(where, " and ".join(fields.text), columns, "--text-field")
    for name in ("label", "split", "group", "neighbors"):
        named = getattr(fields, name)
        if named not in ("", NOT_READ) and name not in used:
            raise missing(where, named, columns, f"--{name}-field")


INDEX_ADVICE = (
    ", or give the one without a name a name, as pandas does with to_csv(…, index_label='id')"
)
TEXT_ADVICE = ", or let nodes without one take their id as text with --missing-text id"


def missing(
    where: str, name: str, columns: Sequence[str], option: str, advice: str = ""
) -> MissingColumnError:
    parts = [part.strip() for part in name.split(",")]
    if len(parts) > 1 and has_all(columns, parts):
        advice = f"; for several columns give the option several times{advice}"
    return MissingColumnError(
        f"{where}: no column {name!r}; the columns are: {listed(columns)}; "
        f"name the right one with {option}{advice}"
    )
