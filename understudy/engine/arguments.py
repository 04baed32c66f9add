"""Type checks of the Python interface's arguments; an error names the argument.

Over HTTP, types are checked when bodies are decoded. The nodes of a look-up, the most frequent
call, are checked only after it failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from operator import index
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from understudy.engine.errors import InvalidArgumentError, MutationRefusedError, shortened
from understudy.engine.limits import Limits
from understudy.engine.placing import check_apart
from understudy.folders.places import path_problem
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutations import AddEdge, DeleteNode, Mutation, RemoveEdge, UpsertNode

Item = TypeVar("Item")
NODES = "Nodes, such as Node(id='curl') or Node(text='a fast JSON parser', neighbors=('libc6',))"
MUTATIONS = "UpsertNode, DeleteNode, AddEdge and RemoveEdge"
# The text fields of every kind of mutation; those in OPTIONAL may be None.
TEXTS: dict[type, tuple[str, ...]] = {
    kind: kind.__struct_fields__ for kind in (UpsertNode, DeleteNode, AddEdge, RemoveEdge)
}
OPTIONAL = {"text", "label"}


def shown(value: object) -> str:
    """Shortens a value's repr for a message."""
    return shortened(repr(value))


def kind_of(value: object) -> str:
    return type(value).__name__


def listed(name: str, values: Iterable[Item], items: str) -> Sequence[Item]:
    """Makes a sequence that can be read more than once.

    Args:
        items: what the items should be, for the message.

    Raises:
        InvalidArgumentError: `values` is a single thing, or a string (which would be split into
            characters).
    """
    if isinstance(values, list | tuple):
        return values
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise InvalidArgumentError(f"{name} is a {kind_of(values)}; give a list of {items}")
    return list(values)


def check_nodes(nodes: Sequence[Any]) -> None:
    """Checks the types of nodes.

    Raises:
        InvalidArgumentError: a node or one of its fields has the wrong type; the message names it.
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
    """Checks the types of mutations and the lengths of their texts.

    Returns the mutations with plain texts: subclasses of str, such as numpy's, cannot be logged.

    Args:
        key: idempotency key.
        characters: maximum of one node's text.

    Raises:
        InvalidArgumentError: something has the wrong type; the message names it.
        MutationRefusedError: a text is too long.
    """
    check_text("key", key, optional=True)
    batch: list[Mutation] = []
    for position, mutation in enumerate(listed("mutations", mutations, MUTATIONS)):
        names = TEXTS.get(type(mutation)) or texts_of(mutation)
        if not names:
            raise InvalidArgumentError(
                f"mutations[{position}] is a {kind_of(mutation)}; give {MUTATIONS}"
            )
        plain = {}
        for name in names:
            value = getattr(mutation, name)
            if type(value) is not str:
                check_text(f"mutations[{position}].{name}", value, name in OPTIONAL)
                plain[name] = None if value is None else str.__str__(value)
        if any(text is not None for text in plain.values()):
            mutation = replace(mutation, **plain)
        batch.append(mutation)
        if isinstance(mutation, UpsertNode) and len(mutation.text or "") > characters:
            raise MutationRefusedError(
                f"the text has more than {characters:,} characters", position, "text"
            )
    return batch


def texts_of(mutation: object) -> tuple[str, ...]:
    """Names the text fields of a subclass of a mutation; none for any other type."""
    return next((names for kind, names in TEXTS.items() if isinstance(mutation, kind)), ())


def check_text(name: str, value: object, optional: bool = False) -> None:
    """Raises InvalidArgumentError if a value is not a string (or None, where `optional`)."""
    if not isinstance(value, str) and not (optional and value is None):
        wanted = "a str, or None" if optional else "a str"
        raise InvalidArgumentError(f"{name} is {shown(value)}; give {wanted}")


def whole_number(name: str, value: object) -> int:
    """Converts to int; raises InvalidArgumentError if a value is not a whole number."""
    try:
        return index(value)  # type: ignore[arg-type]  # this is the check itself
    except TypeError as error:
        raise InvalidArgumentError(f"{name} is {shown(value)}; give a whole number") from error


def folder_of(name: str, value: object) -> Path:
    """Converts to a path; raises InvalidArgumentError if a value is not a path."""
    if not isinstance(value, str | PathLike):
        raise InvalidArgumentError(f"{name} is {shown(value)}; give a path")
    if value == "":  # as from an unset variable; Python would take the current folder
        raise InvalidArgumentError(f"{name} is empty; give a path, or leave it out")
    if problem := path_problem(Path(value)):
        raise InvalidArgumentError(f"{name}: {problem}")
    return Path(value)


def check_opening(folder: Path, limits: object, log: object, data: Path | None) -> None:
    """Checks the types and combination of `Engine.open`'s arguments.

    Raises:
        InvalidArgumentError: something has the wrong type, a log has no data folder, or the data
            folder lies in the bundle or contains it.
    """
    for name, value, kind in (("limits", limits, Limits), ("log", log, RedisLogOptions)):
        if value is not None and not isinstance(value, kind):  # value not shown: may be secret
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
