"""A graph larger than the allowed memory is served from its files.

The limit is the system's own, on the memory that is no file's (RLIMIT_DATA): a table that were
copied would exceed it, and the process with it.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.bundles import LABELS, tiny_graph, write_tiny_bundle
from understudy.graph.csr import build_adjacency
from understudy.graph.text_graph import TextGraph, string_array

NODES, TEXT_BYTES, TIMES = 2_000, 60_000, 4
ALLOWED = NODES * TEXT_BYTES // TIMES
SERVE = """
import json, resource, sys, threading
from understudy.engine import Engine, Node
from understudy.graph.mutations import AddEdge

def memory(name):
    lines = open("/proc/self/status", encoding="ascii")
    return next(1_024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))

threading.stack_size(262_144)
folder, small, allowed = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Engine.open(small) as engine:  # what the libraries take once
    engine.classify([Node(id="node-1"), Node(text="http socket", neighbors=("node-1",))])
limit = memory("VmData") + allowed
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    bytearray(allowed + 2**24)
except MemoryError:
    pass
else:
    raise SystemExit("the limit does not hold")
with Engine.open(folder) as engine:
    ids = [f"node-{number}" for number in range(0, 2_000, 7)]
    stored = [prediction.label for prediction in engine.classify([Node(id=name) for name in ids])]
    (unseen,) = engine.classify([Node(text="http socket", neighbors=("node-1", "node-2"))])
    engine.apply([AddEdge("node-3", "node-1999")])
    graph = engine.state.graph
    last = graph.text(graph.row_of("node-1999"))
    print(json.dumps({"stored": stored, "unseen": unseen.error is None, "last": last[-9:],
                      "linked": graph.linked(3, 1_999)}))
"""


def wordy_graph() -> TextGraph:
    """A ring whose nodes have long texts."""
    rest = " and so on" * (TEXT_BYTES // 10)
    topics = tiny_graph().texts.to_pylist()
    texts = [f"{topics[node % len(topics)]}{rest} end {node}" for node in range(NODES)]
    ring = np.stack([np.arange(NODES), np.roll(np.arange(NODES), -1)], axis=1)
    return TextGraph(
        name="wordy",
        ids=string_array(f"node-{node}" for node in range(NODES)),
        texts=pa.array(texts, pa.large_string()),
        labels=np.arange(NODES, dtype=np.int64) % len(LABELS),
        label_names=LABELS,
        adjacency=build_adjacency(NODES, ring)[0],
        splits={"train": np.arange(NODES)},
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_graph_four_times_the_memory_it_may_take_is_served(tmp_path: Path) -> None:
    tiny = write_tiny_bundle(tmp_path / "bundle", graph=wordy_graph())
    size = sum(file.stat().st_size for file in (tiny.folder / "graph").iterdir())
    assert size > TIMES * ALLOWED
    small = write_tiny_bundle(tmp_path / "small").folder
    command = [sys.executable, "-c", SERVE, str(tiny.folder), str(small), str(ALLOWED)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    expected = [LABELS[label] for label in tiny.logits[::7].argmax(1)]
    assert said == {"stored": expected, "unseen": True, "last": " end 1999", "linked": True}
