"""Finds the column that is meant: the one that the user named, or one with a usual name."""

from collections.abc import Sequence

from understudy.graph.readers import usual_names as usual
from understudy.graph.readers.usual_names import plain

NOT_READ = "none"  # given in place of a column that should not be read


def find(
    columns: Sequence[str], given: str, names: Sequence[str], taken: Sequence[int] = ()
) -> int | None:
    """The position of the given column, or of the first usual name, ignoring case.

    Args:
        taken: columns with another role, which are skipped unless given.
    """
    if given == NOT_READ:
        return None
    if given and given in columns:  # may be empty, as for the index that pandas writes
        return columns.index(given)
    lowered = [plain(column) if i not in taken else "" for i, column in enumerate(columns)]
    if given:
        same = [index for index, name in enumerate(columns) if name.lower() == given.lower()]
        return same[0] if len(same) == 1 else None
    return next((lowered.index(name) for name in names if name in lowered), None)


def find_id(columns: Sequence[str], given: str) -> int | None:
    """The column that identifies nodes."""
    for names in (usual.ID_NAMES, usual.OWN_ID_NAMES):
        index = find(columns, given, names)
        if index is not None or given:
            return index
    ending_in_id = [index for index, column in enumerate(columns) if usual.ends_in_id(column)]
    return ending_in_id[0] if len(ending_in_id) == 1 else find(columns, "", usual.NAMING_NAMES)


def find_texts(
    columns: Sequence[str],
    given: Sequence[str],
    taken: Sequence[int] = (),
    identifier: int | None = None,
) -> tuple[int, ...]:
    """The columns that form the text: the given ones, or a title and the column that follows it.

    Args:
        taken: columns with another role, which are skipped unless given.
        identifier: the column of ids, which is not the name of what a description describes.
    """
    if given:
        indexes = [find(columns, name, ()) for name in given]
        return tuple(index for index in indexes if index is not None)
    title = find(columns, "", usual.TITLE_NAMES, taken)
    if title is None and find(columns, "", usual.MESSAGE_NAMES, taken) is not None:
        title = subject_of_message(columns, taken)
    body = find(columns, "", usual.TEXT_NAMES, taken)
    body = find(columns, "", usual.BODY_NAMES, taken) if body is None else body
    if title is None and body is not None:
        title = name_of_described(columns, body, taken, identifier)
    return tuple(index for index in (title, body) if index is not None)


def name_of_described(
    columns: Sequence[str], body: int, taken: Sequence[int], identifier: int | None
) -> int | None:
    """The column of the name of what the body describes, as in a table of products."""
    if plain(columns[body]) not in usual.NAMED_BODIES:
        return None
    name = find(columns, "", (usual.NAMED,), taken)
    return None if name == identifier else name


def subject_of_message(columns: Sequence[str], taken: Sequence[int]) -> int | None:
    """The subject column of a message; next to a `text`, a subject is probably a class."""
    if find(columns, "", ("text",)) is not None:
        return None
    return find(columns, "", (usual.SUBJECT,), taken)


def label_names(columns: Sequence[str]) -> list[str]:
    """The usual names of a label; next to an `x`, a `y` is probably a coordinate."""
    names = [*usual.LABEL_NAMES, *usual.CLASS_NAME_NAMES]
    if find(columns, "", ("x",)) is not None:
        names.remove("y")
    return names


def find_class_name(
    columns: Sequence[str], given: str, label: int | None, taken: Sequence[int]
) -> int | None:
    """The column that may name the classes; None if the user has named the label."""
    if given or label is None:
        return None
    names = (*usual.CLASS_NAME_NAMES, "category", "class")
    return find(columns, "", names, (*taken, label))


def find_masks(
    columns: Sequence[str], taken: Sequence[int]
) -> tuple[int | None, int | None, int | None]:
    """The columns of train, val and test masks, without those `taken`; None if train has none."""
    train, val, test = (find(columns, "", names, taken) for names in usual.MASK_NAMES)
    if train is None or (val is None and test is None):
        return None, None, None
    return train, val, test


def usual_pair(columns: Sequence[str]) -> tuple[int, int] | None:
    """The two ends of an edge under one of the usual pairs of names."""
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
