"""How the engine grows with the graph: each size in a process of its own.

python -m benchmarks.engine.growth BUNDLE      (one size; prints JSON)
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common.machine import memory_bytes
from benchmarks.engine.changes import measure_changes
from benchmarks.engine.reads import forget_files, measure_lookup, measure_start
from service.messages import Node
from understudy.engine.engine import Engine

ROUNDS = {"edge": 51, "node": 21, "hub edge": 7, "batch": 3, "full": 1}


def measure_size(folder: Path) -> dict[str, Any]:
    """Everything about one size; run in a process that has done nothing else."""
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
    results: dict[str, Any] = {
        "nodes": graph.num_nodes,
        "edges": graph.num_edges,
        "cold seconds to ready": ready,
        "array bytes a node": arrays / graph.num_nodes,
        "further bytes a node": (after["RssAnon"] - before["RssAnon"]) / graph.num_nodes,
    }
    (prediction,) = engine.classify([Node(text="a parser", neighbors=(graph.id(0), graph.id(1)))])
    assert prediction.error is None
    results["lookup"] = measure_lookup(engine, rounds=500)
    results["changes"] = measure_changes(engine, ROUNDS)
    results["peak gigabytes"] = memory_bytes()["VmHWM"] / 1e9
    engine.close()
    results["start"] = measure_start(folder, rounds=3)
    return results


def measure_in_own_process(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.engine.growth", str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results: dict[str, Any] = json.loads(output)
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_size(Path(sys.argv[1]))))
