"""Times changes of the graph against computing everything again."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from understudy.engine.engine import Engine
from understudy.engine.full_run import all_layers
from understudy.graph.mutations import AddEdge, Mutation, UpsertNode

ORDINARY = (2, 12)  # neighbours of a node that is called ordinary
EDGES_OF_A_NEW_NODE = 5
BATCH = 1_000
TEXT = "a fast JSON parser\nIt reads large documents from streams without loading them whole."
ChangeName = Literal["edge", "node", "hub edge", "batch"]
ROUNDS = {"edge": 101, "node": 31, "hub edge": 11, "batch": 3, "full": 5}


class ChangeCost(TypedDict):
    """The cost of one kind of change, next to that of a full computation."""

    milliseconds: float  # median
    longest_milliseconds: float
    rows: float  # computed, median
    times_faster: float  # than a full computation


class FullCost(TypedDict):
    milliseconds: float  # median


ChangeCosts = TypedDict(
    "ChangeCosts",
    {
        "hub_degree": int,
        "edge": ChangeCost,
        "node": ChangeCost,
        "hub edge": ChangeCost,
        "batch": ChangeCost,
        "full": FullCost,
    },
)


class Changes:
    """Draws changes of a graph; an edge is always a new one."""

    def __init__(self, engine: Engine, seed: int = 0) -> None:
        self.engine = engine
        self.random = random.Random(seed)
        graph = engine.state.graph
        degrees = graph.degrees(np.arange(graph.num_rows))
        fits = (degrees >= ORDINARY[0]) & (degrees <= ORDINARY[1])
        self.ordinary: list[int] = np.flatnonzero(fits).tolist()
        self.hub = int(degrees.argmax())
        self.hub_degree = int(degrees.max())
        self.created = 0

    def edge(self, first: int | None = None) -> list[Mutation]:
        """Draws an edge between ordinary nodes, or from a given one."""
        graph = self.engine.state.graph
        while True:
            one = self.random.choice(self.ordinary) if first is None else first
            other = self.random.choice(self.ordinary)
            if one != other and not graph.linked(one, other):
                return [AddEdge(graph.id(one), graph.id(other))]

    def node(self) -> list[Mutation]:
        graph = self.engine.state.graph
        self.created += 1
        name = f"new-{self.created}"
        near = self.random.sample(self.ordinary, EDGES_OF_A_NEW_NODE)
        return [UpsertNode(name, TEXT), *(AddEdge(name, graph.id(row)) for row in near)]

    def hub_edge(self) -> list[Mutation]:
        return self.edge(self.hub)

    def batch(self) -> list[Mutation]:
        return [mutation for _ in range(BATCH) for mutation in self.edge()]


def measure_changes(engine: Engine, rounds: dict[str, int] | None = None) -> ChangeCosts:
    """Median milliseconds of each kind of change, and of a full computation of the layers."""
    rounds = rounds or ROUNDS
    changes = Changes(engine)
    drawn: dict[ChangeName, Callable[[], Sequence[Mutation]]] = {
        "edge": changes.edge,
        "node": changes.node,
        "hub edge": changes.hub_edge,
        "batch": changes.batch,
    }
    for draw in drawn.values():  # the first change of a hub sums its neighbours once
        engine.apply(draw())
    timed = {name: timed_changes(engine, draw, rounds[name]) for name, draw in drawn.items()}
    full = 1_000 * statistics.median([full_seconds(engine) for _ in range(rounds["full"])])
    costs = {name: cost_of(seconds, rows, full) for name, (seconds, rows) in timed.items()}
    return {
        "hub_degree": changes.hub_degree,
        "edge": costs["edge"],
        "node": costs["node"],
        "hub edge": costs["hub edge"],
        "batch": costs["batch"],
        "full": {"milliseconds": full},
    }


def timed_changes(
    engine: Engine, draw: Callable[[], Sequence[Mutation]], rounds: int
) -> tuple[list[float], list[int]]:
    """Times each change, and counts the rows that it computed."""
    seconds, rows = [], []
    for _ in range(rounds):
        mutations = draw()
        before = engine.writer.computed_rows
        started = time.perf_counter()
        engine.apply(mutations)
        seconds.append(time.perf_counter() - started)
        rows.append(engine.writer.computed_rows - before)
    return seconds, rows


def cost_of(seconds: list[float], rows: list[int], full: float) -> ChangeCost:
    """`full`: milliseconds of a full computation."""
    milliseconds = 1_000 * statistics.median(seconds)
    return {
        "milliseconds": milliseconds,
        "longest_milliseconds": 1_000 * max(seconds),
        "rows": statistics.median(rows),
        "times_faster": full / milliseconds,
    }


def full_seconds(engine: Engine) -> float:
    """Seconds of computing all layers for all nodes, without the texts' part, h0."""
    h0 = all_h0(engine)
    started = time.perf_counter()
    for _ in all_layers(engine.student, engine.state.graph, h0):
        pass
    return time.perf_counter() - started


def all_h0(engine: Engine) -> NDArray[np.float32]:
    return engine.state.activations(0, np.arange(engine.state.graph.num_rows))


def largest_difference(engine: Engine) -> float:
    """The largest difference of a stored logit from a full computation, after all changes."""
    *_, logits = all_layers(engine.student, engine.state.graph, all_h0(engine))
    live = engine.state.graph.live_rows()
    return float(np.abs(logits[live] - engine.state.logits(live)).max())
