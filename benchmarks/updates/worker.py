"""Runs one engine, of this or another checkout, and applies edge changes to it on command.

    python benchmarks/updates/worker.py BUNDLE

It reads one JSON object per line from standard input, and answers each with one:

- {"batch": 100, "rounds": 20} applies 20 batches of 100 changes and returns their times; with
  "settled": true, all logits are computed after each batch;
- {"settle": true} computes all logits, untimed;
- {"reads": 100} times 100 look-ups of one node;
- {"check": true} returns the largest difference from a full computation, and the memory.

It uses only those parts of the product that older checkouts have, too.
"""

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from understudy.engine.engine import Engine
from understudy.engine.full_run import all_layers
from understudy.graph.mutations import AddEdge, Mutation, RemoveEdge


class Stream:
    """Alternately adds and removes uniformly drawn edges; equal seeds draw the same ones."""

    def __init__(self, engine: Engine, seed: int = 0) -> None:
        base = engine.state.graph.parts.base
        self.random = random.Random(seed)
        self.ids: list[str] = base.ids.to_pylist()
        self.edges = [(one, other) for one, other in base.adjacency.edges().tolist()]
        self.linked = set(self.edges)
        self.adds = False

    def batch(self, size: int) -> list[Mutation]:
        return [self.change() for _ in range(size)]

    def change(self) -> Mutation:
        self.adds = not self.adds
        one, other = self.new_edge() if self.adds else self.old_edge()
        kind = AddEdge if self.adds else RemoveEdge
        return kind(self.ids[one], self.ids[other])

    def new_edge(self) -> tuple[int, int]:
        while True:
            ends = self.random.sample(range(len(self.ids)), 2)
            edge = (min(ends), max(ends))
            if edge not in self.linked:
                self.linked.add(edge)
                self.edges.append(edge)
                return edge

    def old_edge(self) -> tuple[int, int]:
        place = self.random.randrange(len(self.edges))
        self.edges[place], self.edges[-1] = self.edges[-1], self.edges[place]
        edge = self.edges.pop()
        self.linked.remove(edge)
        return edge


def timed(
    engine: Engine, stream: Stream, batch: int, rounds: int, settled: bool = False
) -> dict[str, float]:
    """Applies batches, and measures them; drawing them is not counted."""
    batches = [stream.batch(batch) for _ in range(rounds)]
    rows = engine.writer.computed_rows
    wall, processor = time.perf_counter(), time.process_time()
    for mutations in batches:
        engine.apply(mutations)
        if settled:
            engine.settle()
    return {
        "processor": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "updates": batch * rounds,
        "rows": engine.writer.computed_rows - rows,
        "left": rounds * int(left(engine).sum()),
    }


def left(engine: Engine) -> NDArray[np.bool_]:
    """Marks rows whose logits are not computed yet, bool [rows]; older checkouts have none."""
    rows, stale = np.arange(engine.state.graph.num_rows), getattr(engine.state, "stale", None)
    if stale is None:
        return np.zeros(len(rows), np.bool_)
    return np.asarray(stale.marks.take(engine.state.graph.version, rows))


def reads(engine: Engine, count: int) -> dict[str, float]:
    """Median microseconds of reading one node's logits, stored ones and ones still to compute."""
    waits, found = left(engine), {}
    generator = np.random.default_rng(0)
    for name, rows in (("stored", np.flatnonzero(~waits)), ("left", np.flatnonzero(waits))):
        if len(rows):
            drawn = generator.choice(rows, count)
            found[name] = float(np.median([seconds_of(engine, row) for row in drawn])) * 1e6
    return found


def seconds_of(engine: Engine, row: int) -> float:
    rows, state = np.array([row]), engine.state
    state.logits(rows)  # loads the pages
    started = time.perf_counter()
    state.logits(rows)
    return time.perf_counter() - started


def checked(engine: Engine) -> dict[str, float]:
    """The largest difference of a logit from a full computation, and the memory."""
    graph = engine.state.graph
    rows = np.arange(graph.num_rows)
    megabytes = anonymous_megabytes()
    *_, logits = all_layers(engine.student, graph, engine.state.activations(0, rows))
    difference = np.abs(logits - engine.state.logits(rows)).max()
    return {"difference": float(difference), "megabytes": megabytes}


def anonymous_megabytes() -> float:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (value,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(value) * 1_024 / 1e6


def main(folder: Path) -> None:
    engine = Engine.open(folder)
    engine.maintenance.close()  # settling would run between the batches
    stream = Stream(engine)
    tell({"megabytes": anonymous_megabytes()})
    for line in sys.stdin:
        wanted = json.loads(line)
        if "check" in wanted:
            tell(checked(engine))
        elif "reads" in wanted:
            tell(reads(engine, wanted["reads"]))
        elif "settle" in wanted:
            engine.settle()
            tell({})
        else:
            tell(timed(engine, stream, **wanted))


def tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
