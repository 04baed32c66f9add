"""Bundles of random students over synthetic graphs; weights do not matter for speed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.student_bundles import write_student_bundle
from training.config import StudentConfig
from understudy.graph import TextGraph
from understudy.graph.hashing import HashingOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph

HIDDEN = 64
MEAN_DEGREE = 20.0  # 10 million edges at a million nodes
DISTINCT_TEXTS = 1_000  # hashing a million texts would take longer than all that is measured


def make_bundle(folder: Path, nodes: int) -> Path:
    """Makes the bundle of a random GraphSAGE over a synthetic graph, unless it exists."""
    if not folder.exists():
        options = SyntheticOptions(nodes=nodes, mean_degree=MEAN_DEGREE)
        graph = with_few_texts(synthetic_graph(options))
        student = StudentConfig(kind="sage", hidden=HIDDEN)
        write_student_bundle(folder, graph, student, HashingOptions(buckets=4_096))
    return folder


def with_few_texts(graph: TextGraph) -> TextGraph:
    """Returns the graph with its first texts repeated in turn."""
    places = np.arange(graph.num_nodes) % DISTINCT_TEXTS
    return replace(graph, texts=graph.texts.take(pa.array(places)))
