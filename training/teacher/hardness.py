"""Reads the value of an answer about each node from a file made elsewhere.

For example, the uncertainty of a served model: see `understudy refresh`.
"""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from training.errors import TeacherError
from understudy.graph import TextGraph
from understudy.graph.errors import GraphError
from understudy.graph.readers.jsonl import read_value


def check_order(limited: bool, hard: bool, choice: str | None) -> None:
    """Refuses options for the order of nodes that would have no effect.

    Args:
        limited: whether the number of questions is limited.
        hard: whether difficulties were given.
        choice: the given choice of nodes, or None.

    Raises:
        TeacherError: all nodes are asked about, or random ones.
    """
    options = {"--budget-hard": hard, "--budget-choice": choice is not None}
    for option in (name for name, on in options.items() if on and not limited):
        raise TeacherError(f"{option} needs a limit: --budget, --budget-money or --max-nodes")
    if hard and choice == "random":
        raise TeacherError(
            "--budget-hard and --budget-choice both decide which nodes come first; give only one "
            "of them"
        )


def read_hardness(path: Path) -> dict[str, float]:
    """Id of a node → its difficulty; harder nodes are asked about first.

    Raises:
        TeacherError: the file cannot be read, has another form, or names no node.
    """
    try:
        value = read_value(path, "expected one JSON object from ids to numbers")
        hard = msgspec.convert(value, dict[str, float])
    except GraphError as error:  # unreadable, broken, or a duplicate node
        raise TeacherError(f"--budget-hard: {error}") from error
    except msgspec.MsgspecError as error:
        raise TeacherError(
            f"--budget-hard: {path}: {error}; expected one JSON object from ids to numbers"
        ) from error
    if not hard:
        raise TeacherError(
            f"--budget-hard: {path} contains no nodes; add some, or leave the option out"
        )
    return hard


def hardness_of(graph: TextGraph, hard: Mapping[str, float]) -> NDArray[np.float64]:
    """Difficulties by row; float64 [N]. Nodes that are not named are the least hard.

    Raises:
        TeacherError: a node is unknown, or its value is not a number.
    """
    index, rows = graph.index_of, {}
    for name, value in hard.items():
        row = index.get(name)
        if row is None:
            raise TeacherError(
                f"--budget-hard: the graph has no node {name!r}; is the file for another graph?"
            )
        if math.isnan(value):
            raise TeacherError(f"--budget-hard: the number of the node {name!r} is NaN")
        rows[row] = value
    result = np.full(graph.num_nodes, -np.inf)
    result[list(rows)] = list(rows.values())
    return result


def digest_of(hard: Mapping[str, float]) -> str:
    """SHA-256 of the difficulties, on which the choice of nodes depends."""
    return hashlib.sha256(msgspec.json.encode(hard, order="sorted")).hexdigest()
