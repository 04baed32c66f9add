"""A change as the layers see it, and what of it reaches one of them."""

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from understudy.engine.updates.cached_sums import Moved
from understudy.graph.mutable.store import GraphChange
from understudy.graph.mutable.versions import Undo
from understudy.graph.mutable.view import GraphView


class Settling(Enum):
    """What is done for its own sake, while no change runs."""

    NOTHING = auto()
    LOGITS = auto()  # those that are stale
    ALL = auto()  # the same, and what nodes owe their neighbours


@dataclass(frozen=True, slots=True)
class Step:
    """One change as the layers see it.

    Shapes:
        touched: int64, sorted rows whose neighbours changed, removed nodes left out
    """

    old: GraphView
    new: GraphView
    change: GraphChange
    undo: Undo
    touched: NDArray[np.int64]
    settling: bool


@dataclass(frozen=True, slots=True)
class Wave:
    """What reaches a layer.

    Shapes:
        moved: nodes whose own activation changed
        sources: nodes of which their neighbours sum up something else, see `Incremental.sources`
        differences: float32 [X, d], by which the sources moved
        quiet: bool [X], sources that owe it to their neighbours
        waking: int64, rows whose neighbours the layer must run for
    """

    moved: Moved
    sources: Moved
    differences: NDArray[np.float32]
    quiet: NDArray[np.bool_]
    waking: NDArray[np.int64]
