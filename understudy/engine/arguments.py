"""Checks of the Python interface's arguments: one of another type is named in the error.

Over HTTP types are checked as bodies are decoded. The nodes of a look-up, which is the most
frequent call, are checked only once something about them has failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import index
from os import PathLike
from os.path import realpath
from pathlib import Path
from typing import Any, TypeVar

from understudy.engine.errors import InvalidArgumentError, MutationRefusedError, shortened
from understudy.engine.limits import Limits
from understudy.folders.inspection import lies_in, same
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

Item = TypeVar("Item")
NODES = "Nodes, such as Node(id='curl') or Node(text='a fast JSON parser', neighbors=('libc6',))"
MUTATIONS = "UpsertNode, DeleteNode, AddEdge and RemoveEdge"
# Of each kind of change, the names of its texts; those in OPTIONAL may be None.
TEXTS: dict[type, tuple[str, ...]] = {
    kind: kind.__struct_fields__ for kind in (UpsertNode, DeleteNode, AddEdge, RemoveEdge)
}
OPTIONAL = {"text", "label"}


def shown(value: object) -> str:
    """A value in a message, cut to what that can bear."""
    return shortened(repr(value))


def kind_of(value: object) -> str:
    return type(value).__name__


def listed(name: str, given: Iterable[Item], items: str) -> Sequence[Item]:
    """Several things, in a sequence that can be read more than once.

    Args:
        items: what they are to be, for the message.

    Raises:
        InvalidArgumentError: one thing, or a text, whose characters it would be.
    """
    if isinstance(given, list | tuple):
        return given
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise InvalidArgumentError(f"{name} is a {kind_of(given)}; give a list of {items}")
    return list(given)


def check_nodes(nodes: Sequence[Any]) -> None:
    """Finds what about nodes is of another type.

    Raises:
        InvalidArgumentError: something is; it is named.
    """
    for position, node in enumerate(nodes):
        where = f"nodes[{position}]"
        if not all(hasattr(node, name) for name in ("id", "text", "neighbors")):
            raise InvalidArgumentError(f"{where} is a {kind_of(node)}; give {NODES}")
        for name in ("id", "text"):
            check_text(f"{where}.{name}", getattr(node, name), optional=True)
        for place, name in enumerate(listed(f"{where}.neighbors", node.neighbors, "ids")):
            check_text(f"{where}.neighbors[{place}]", name)


def checked_batch(
    mutations: Iterable[Mutation], key: str | None, characters: int
) -> Sequence[Mutation]:
    """Changes, each with texts where texts belong.

    Args:
        key: of idempotency.
        characters: of one node's text, at most.

    Raises:
        InvalidArgumentError: something is of another type; it is named.
        MutationRefusedError: a text is longer.
    """
    check_text("key", key, optional=True)
    given = listed("mutations", mutations, MUTATIONS)
    for position, mutation in enumerate(given):
        names = TEXTS.get(type(mutation)) or texts_of(mutation)
        if not names:
            raise InvalidArgumentError(
                f"mutations[{position}] is a {kind_of(mutation)}; give {MUTATIONS}"
            )
        for name in names:
            value = getattr(mutation, name)
            if not isinstance(value, str):
                check_text(f"mutations[{position}].{name}", value, name in OPTIONAL)
        if isinstance(mutation, UpsertNode) and len(mutation.text or "") > characters:
            raise MutationRefusedError(
                f"mutation {position}: the text has more than {characters:,} characters",
                position=position,
            )
    return given


def texts_of(mutation: object) -> tuple[str, ...]:
    """The names of the texts of a change whose type is made from ours; none of anything else."""
    return next((names for kind, names in TEXTS.items() if isinstance(mutation, kind)), ())


def check_text(name: str, value: object, optional: bool = False) -> None:
    """Raises InvalidArgumentError where a value is no text, nor None where that may be."""
    if not isinstance(value, str) and not (optional and value is None):
        wanted = "a str, or None" if optional else "a str"
        raise InvalidArgumentError(f"{name} is {shown(value)}; give {wanted}")


def whole_number(name: str, value: object) -> int:
    """Raises InvalidArgumentError where a value is no whole number."""
    try:
        return index(value)  # type: ignore[arg-type]  # that is what is found out
    except TypeError as error:
        raise InvalidArgumentError(f"{name} is {shown(value)}; give a whole number") from error


def folder_of(name: str, value: object) -> Path:
    """Raises InvalidArgumentError where a value is no path."""
    if not isinstance(value, str | PathLike):
        raise InvalidArgumentError(f"{name} is {shown(value)}; give a path")
    return Path(value)


def check_opening(folder: Path, limits: object, log: object, data: Path | None) -> None:
    """Refuses what no engine is opened with.

    Raises:
        InvalidArgumentError: something is of another type, a log has no data folder, or that lies
            in the bundle, or holds it.
    """
    for name, value, kind in (("limits", limits, Limits), ("log", log, RedisLogOptions)):
        if value is not None and not isinstance(value, kind):  # not shown: it may be secret
            raise InvalidArgumentError(
                f"{name} is a {kind_of(value)}; give {kind.__name__}, or None"
            )
    for name in (field.name for field in fields(Limits)) if limits is not None else ():
        if whole_number(f"limits.{name}", getattr(limits, name)) < 0:
            raise InvalidArgumentError(f"limits.{name} is {getattr(limits, name)}; give 0 or more")
    if log is not None and data is None:
        raise InvalidArgumentError("a log in Redis needs a data folder for its snapshots")
    if data is not None:
        check_apart(folder, data)


def check_apart(folder: Path, data: Path) -> None:
    """Refuses a bundle and a data folder of which one would be moved or replaced with the other.

    Raises:
        InvalidArgumentError: one lies in the other, or both are one.
    """
    bundle, changes = Path(realpath(folder)), Path(realpath(data))
    if same(bundle, changes):
        where = "is the bundle itself"
    elif lies_in(changes, bundle):
        where = f"lies in the bundle {folder}, and would go when another one takes its place"
    elif lies_in(bundle, changes):
        where = f"holds the bundle {folder}, and is for the changes of its graph alone"
    else:
        return
    raise InvalidArgumentError(f"the data folder {data} {where}; name a folder beside the bundle")
