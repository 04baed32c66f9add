"""Measures the engine at several sizes of the graph, each in a process of its own.

python -m benchmarks.engine.growth BUNDLE      (one size; prints JSON)
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

import msgspec

from benchmarks.common.machine import memory_bytes
from benchmarks.engine.changes import ChangeCosts, measure_changes
from benchmarks.engine.reads import forget_files, measure_lookup, measure_start
from service.messages import Node
from understudy.engine.engine import Engine

# Of one size, by the names in the file.
SizeResult = TypedDict(
    "SizeResult",
    {
        "nodes": int,
        "edges": int,
        "cold seconds to ready": float,
        "array bytes a node": float,
        "further bytes a node": float,  # that no file backs
        "lookup": dict[str, float],  # microseconds
        "changes": ChangeCosts,
        "peak gigabytes": float,
        "start": dict[str, float],  # as `measure_start` has it
    },
)
ROUNDS = {"edge": 51, "node": 21, "hub edge": 7, "batch": 3, "full": 1}


def measure_size(folder: Path) -> SizeResult:
    """Measures one size; runs in a process that has done nothing else."""
    forget_files(folder)
    before = memory_bytes()
    started = time.perf_counter()
    engine = Engine.open(folder)
    ready = time.perf_counter() - started
    after = memory_bytes()
    graph = engine.state.graph
    arrays = sum(
        path.stat().st_size for path in folder.glob("*/*") if path.parent.name != "student"
    )
    (prediction,) = engine.classify([Node(text="a parser", neighbors=(graph.id(0), graph.id(1)))])
    assert prediction.error is None
    nodes, edges = graph.num_nodes, graph.num_edges
    lookup = measure_lookup(engine, rounds=500)
    changes = measure_changes(engine, ROUNDS)
    peak = memory_bytes()["VmHWM"] / 1e9
    engine.close()
    return {
        "nodes": nodes,
        "edges": edges,
        "cold seconds to ready": ready,
        "array bytes a node": arrays / nodes,
        "further bytes a node": (after["RssAnon"] - before["RssAnon"]) / nodes,
        "lookup": lookup,
        "changes": changes,
        "peak gigabytes": peak,
        "start": measure_start(folder, rounds=3),
    }


def measure_in_own_process(folder: Path) -> SizeResult:
    """Runs `measure_size` in a new process."""
    command = [sys.executable, "-m", "benchmarks.engine.growth", str(folder)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return msgspec.json.decode(output, type=SizeResult)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_size(Path(sys.argv[1]))))
