"""Which column of a file holds what: the names people use, and the names that the user gave."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from understudy.graph.errors import BadInputError, MissingColumnError
from understudy.graph.readers import usual_names as usual
from understudy.graph.readers.usual_names import check_named, plain

NOT_READ = "none"  # what the user gives in place of a column that is not to be read
SHOWN = 40  # columns in a message
SHOWN_CHARACTERS = 100  # of the name of each
OPTIONS = {  # that name the column of a role, where they are not called after it
    "class_name": "--label-field",
    "loose_split": "--split-field",
    "masks": "--split-field",
}


@dataclass(frozen=True)
class NodeFields:
    """Column names that the user gave; an empty one is looked for among the usual names.

    `none` in place of a label, a split, a group or neighbours: no column is read for it.

    Raises:
        BadInputError: one is no name.
    """

    id: str = ""
    text: tuple[str, ...] = ()  # several are joined, a line each
    label: str = ""
    split: str = ""
    group: str = ""  # nodes of one group stay in one part of a random split; only where given
    neighbors: str = ""  # looked for only where there is no edge file
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
    """Column names that the user gave; empty ones are looked for among the usual names.

    Raises:
        BadInputError: one is no name.
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
    """Positions of the columns; empty or None where the file has none."""

    id: int
    text: tuple[int, ...]
    label: int | None
    class_name: int | None  # may name the classes whose numbers are in `label`
    split: int | None
    loose_split: bool  # the split's name is no promise: it counts only if it holds splits
    masks: tuple[int | None, int | None, int | None]  # of train, val, test
    group: int | None
    neighbors: int | None

    def roles(self) -> dict[str, tuple[int, ...]]:
        """The columns by what they are used for; the texts first, whose type is the strictest."""
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
    """Columns in a message, which those of a table of word counts would fill."""
    more = len(columns) - SHOWN
    names = [column.strip()[:SHOWN_CHARACTERS] or "(no name)" for column in columns[:SHOWN]]
    shown = ", ".join(names) or "none"
    return f"{shown} and {more:,} more" if more > 0 else shown


def find(
    columns: Sequence[str], given: str, names: Sequence[str], taken: Sequence[int] = ()
) -> int | None:
    """Where the given column is, or else the first of the usual names, in any case.

    Args:
        taken: columns that are something else already, and are passed over unless given.
    """
    if given == NOT_READ:
        return None
    if given and given in columns:  # a column may have no name, as the index that pandas writes
        return columns.index(given)
    lowered = [plain(column) if i not in taken else "" for i, column in enumerate(columns)]
    if given:
        same = [index for index, name in enumerate(columns) if name.lower() == given.lower()]
        return same[0] if len(same) == 1 else None
    return next((lowered.index(name) for name in names if name in lowered), None)


def find_id(columns: Sequence[str], given: str) -> int | None:
    """The column that tells nodes apart."""
    for names in (usual.ID_NAMES, usual.OWN_ID_NAMES):
        index = find(columns, given, names)
        if index is not None or given:
            return index
    own = [index for index, column in enumerate(columns) if usual.ends_in_id(column)]
    return own[0] if len(own) == 1 else find(columns, "", usual.NAMING_NAMES)


def find_texts(
    columns: Sequence[str], given: Sequence[str], taken: Sequence[int] = ()
) -> tuple[int, ...]:
    """The columns that make the text: the given ones, or a title with what follows it.

    Args:
        taken: columns that are something else already, and are passed over unless given.
    """
    if given:
        found = [find(columns, name, ()) for name in given]
        return tuple(index for index in found if index is not None)
    title = find(columns, "", usual.TITLE_NAMES, taken)
    if title is None and find(columns, "", usual.MESSAGE_NAMES, taken) is not None:
        title = subject_of_message(columns, taken)
    body = find(columns, "", usual.TEXT_NAMES, taken)
    body = find(columns, "", usual.BODY_NAMES, taken) if body is None else body
    return tuple(index for index in (title, body) if index is not None)


def subject_of_message(columns: Sequence[str], taken: Sequence[int]) -> int | None:
    """Where a message has its subject; beside a `text`, a subject is rather a class."""
    if find(columns, "", ("text",)) is not None:
        return None
    return find(columns, "", (usual.SUBJECT,), taken)


def node_indexes(where: str, columns: Sequence[str], fields: NodeFields) -> NodeIndexes:
    """Finds the columns of a node file.

    Raises:
        BadInputError: there is no id column, or two columns have the name of one that is used,
            in any case; the message lists the columns found.
    """
    identifier = find_id(columns, fields.id)
    if identifier is None:
        nameless = not fields.id and any(not column.strip() for column in columns)
        advice = INDEX_ADVICE if nameless else ""
        raise missing(where, fields.id or "id", columns, "--id-field", advice)
    named_label = find(columns, fields.label, ()) if fields.label else None
    text = find_texts(columns, fields.text, () if named_label is None else (named_label,))
    taken = (identifier, *text)
    label = find(columns, fields.label, label_names(columns), taken)
    if label in taken:
        role = "id" if label == identifier else "text"
        raise BadInputError(
            f"{where}: column {fields.label!r} would be a node's {role} and its label as well; "
            "name another one with --label-field, or read none with --label-field none"
        )
    split = find(columns, fields.split, usual.SPLIT_NAMES, taken)
    masks = find_masks(columns) if split is None and not fields.split else (None, None, None)
    loose = split is None and masks == (None, None, None) and not fields.split
    indexes = NodeIndexes(
        id=identifier,
        text=text,
        label=label,
        class_name=find_class_name(columns, fields.label, label, taken),
        split=find(columns, "", usual.LOOSE_SPLIT_NAMES, taken) if loose else split,
        loose_split=loose,
        masks=masks,
        group=find(columns, fields.group or NOT_READ, ()),
        neighbors=find(columns, fields.neighbors, usual.NEIGHBOR_NAMES),
    )
    check_single(where, columns, indexes.roles(), fields.named())
    return indexes


def label_names(columns: Sequence[str]) -> list[str]:
    """The usual names of a label; beside an `x`, a `y` is rather where a node is drawn."""
    names = [*usual.LABEL_NAMES, *usual.CLASS_NAME_NAMES]
    if find(columns, "", ("x",)) is not None:
        names.remove("y")
    return names


def find_class_name(
    columns: Sequence[str], given: str, label: int | None, taken: Sequence[int]
) -> int | None:
    """The column that may name the classes; none where the user has named the label."""
    if given or label is None:
        return None
    names = (*usual.CLASS_NAME_NAMES, "category", "class")
    return find(columns, "", names, (*taken, label))


def find_masks(columns: Sequence[str]) -> tuple[int | None, int | None, int | None]:
    """The columns of train, val and test masks; none unless one says what train is."""
    train, val, test = (find(columns, "", names) for names in usual.MASK_NAMES)
    if train is None or (val is None and test is None):
        return None, None, None
    return train, val, test


def check_single(
    where: str,
    columns: Sequence[str],
    roles: Mapping[str, Sequence[int]],
    named: Collection[str],
) -> None:
    """Refuses a column that is used where another has its name, perhaps in another case.

    Raises:
        BadInputError: see `twice`.
    """
    if problem := twice(columns, roles, named):
        raise BadInputError(f"{where}: {problem}")


def twice(
    columns: Sequence[str], roles: Mapping[str, Sequence[int]], named: Collection[str]
) -> str | None:
    """What is wrong where two columns mean the same and one of them is used, or None.

    Args:
        roles: what columns are used for → their positions.
        named: columns that the user gave: of `ID` and `id`, that one is meant.
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
        BadInputError: one of them is missing, or another column has its name in any case; the
            message lists the columns found.
    """
    pair = usual_pair(columns)
    if not fields.source and not fields.target and pair is None:
        wanted, option = "source or target", "--source-field and --target-field"
        raise missing(where, wanted, columns, option)
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


def usual_pair(columns: Sequence[str]) -> tuple[int, int] | None:
    """An edge's two ends under one of their usual pairs of names."""
    for names in usual.ENDPOINT_NAMES:
        first, second = (find(columns, "", (name,)) for name in names)
        if first is not None and second is not None:
            return first, second
    return None


def is_node_header(columns: Sequence[str]) -> bool:
    """Whether a first line names the columns of nodes."""
    return find_id(columns, "") is not None and bool(find_texts(columns, ()))


def is_edge_header(columns: Sequence[str]) -> bool:
    return usual_pair(columns) is not None


def numbered_node_fields(fields: NodeFields, width: int) -> NodeFields:
    """Of a file without a header: id, text and label in this order, unless they are named.

    A text among more than three columns is not guessed.
    """
    few = width <= 3
    label = "3" if width == 3 and not fields.text else NOT_READ
    return NodeFields(
        id=fields.id or "1",
        text=fields.text or (("2",) if few else ()),
        label=fields.label or label,
        split=fields.split,
        group=fields.group,
        neighbors=fields.neighbors,
        text_needed=fields.text_needed,
    )


def check_text(
    where: str, columns: Sequence[str], fields: NodeFields, found: Collection[str]
) -> None:
    """After a node file was read: it had a text wherever one is needed.

    Args:
        found: the columns that made the text

    Raises:
        BadInputError: it had none, or not all that were asked for; the message lists the columns.
    """
    if fields.text_needed and not (found and has_all(found, fields.text)):
        if not fields.text and fields.label not in ("", NOT_READ) and find_texts(columns, ()):
            raise BadInputError(
                f"{where}: column {fields.label!r} is the label, as --label-field says, and no "
                f"other is known to hold texts; the columns are: {listed(columns)}; name the one "
                f"that does with --text-field{TEXT_ADVICE}"
            )
        wanted = " and ".join(fields.text) or "text"
        raise missing(where, wanted, columns, "--text-field", TEXT_ADVICE)


def has_all(found: Collection[str], wanted: Collection[str]) -> bool:
    return {name.lower() for name in wanted} <= {name.lower() for name in found}


def check_given(
    where: str,
    columns: Sequence[str],
    fields: NodeFields,
    found: Mapping[str, Collection[str]],
) -> None:
    """After all node files were read: what was asked for was there at least once.

    Args:
        found: role → the columns that play it

    Raises:
        BadInputError: it was not; the message lists the columns found.
    """
    if not has_all(found.get("text", ()), fields.text):
        raise missing(where, " and ".join(fields.text), columns, "--text-field")
    for name in ("label", "split", "group", "neighbors"):
        given = getattr(fields, name)
        if given not in ("", NOT_READ) and name not in found:
            raise missing(where, given, columns, f"--{name}-field")


INDEX_ADVICE = (
    ", or give the one without a name a name, as pandas does with to_csv(…, index_label='id')"
)
TEXT_ADVICE = ", or let nodes without one take their id as text with --missing-text id"


def missing(
    where: str, name: str, columns: Sequence[str], option: str, advice: str = ""
) -> MissingColumnError:
    return MissingColumnError(
        f"{where}: no column {name!r}; the columns are: {listed(columns)}; "
        f"name the right one with {option}{advice}"
    )
