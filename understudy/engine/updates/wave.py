"""A change as the layers process it, and the part of it that reaches a layer."""

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np
from numpy.typing import NDArray

from understudy.engine.updates.cached_sums import Moved
from understudy.graph.mutable.store import GraphChange
from understudy.graph.mutable.versions import Undo
from understudy.graph.mutable.view import GraphView


class Settling(Enum):
    """Deferred work to do between changes."""

    NOTHING = auto()
    LOGITS = auto()  # compute stale logits
    ALL = auto()  # also pass on what nodes owe their neighbours


@dataclass(frozen=True, slots=True)
class Step:
    """One change as the layers process it.

    Shapes:
        touched: int64, sorted rows whose neighbours changed, without removed nodes
    """

    old: GraphView
    new: GraphView
    change: GraphChange
    undo: Undo
    touched: NDArray[np.int64]
    settling: bool


@dataclass(frozen=True, slots=True)
class Wave:
    """The part of a change that reaches a layer.

    Shapes:
        moved: nodes whose own activation changed
        sources: nodes whose contribution to neighbours' sums changed, see `Reach.sources`
        differences: float32 [X, d], the changes of the sources
        quiet: bool [X], sources whose change is small and only owed to their neighbours
        waking: int64, rows whose neighbours the layer must run for
    """

    moved: Moved
    sources: Moved
    differences: NDArray[np.float32]
    quiet: NDArray[np.bool_]
    waking: NDArray[np.int64]
