"""How the engine grows with the graph: each size in a process of its own.

python -m benchmarks.engine.growth BUNDLE      (one size; prints JSON)
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.engine.changes import measure_changes
from benchmarks.engine.reads import forget_files, measure_lookup, measure_start
from service.messages import Node
from tests.student_bundles import write_student_bundle
from training.config import StudentConfig
from understudy.engine.engine import Engine
from understudy.graph import TextGraph
from understudy.graph.hashing import HashingOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

HIDDEN = 64
MEAN_DEGREE = 20.0  # 10 million edges at a million nodes
DISTINCT_TEXTS = 1_000  # hashing a million texts would take longer than all that is measured
ROUNDS = {"edge": 51, "node": 21, "hub edge": 7, "batch": 3, "full": 1}


def make_bundle(folder: Path, nodes: int) -> Path:
    """A random GraphSAGE student over a synthetic graph; weights do not matter for speed."""
    if not folder.exists():
        options = SyntheticOptions(nodes=nodes, mean_degree=MEAN_DEGREE)
        graph = with_few_texts(synthetic_graph(options))
        student = StudentConfig(kind="sage", hidden=HIDDEN)
        write_student_bundle(folder, graph, student, HashingOptions(buckets=4_096))
    return folder


def with_few_texts(graph: TextGraph) -> TextGraph:
    """The graph with the first texts in turn."""
    places = np.arange(graph.num_nodes) % DISTINCT_TEXTS
    return replace(graph, texts=graph.texts.take(pa.array(places)))


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


def memory_bytes(process: int | str = "self") -> dict[str, int]:
    """Of a process: VmHWM is the peak, RssAnon what no file backs."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    fields = (line.partition(":") for line in lines)
    return {
        name: int(value.split()[0]) * 1_024
        for name, _, value in fields
        if name in ("VmHWM", "VmRSS", "RssAnon")
    }


def measure_in_own_process(folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.engine.growth", str(folder)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results: dict[str, Any] = json.loads(output)
    return results


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_size(Path(sys.argv[1]))))
