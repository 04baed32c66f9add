"""Bundles of students with random weights: every kind, exported for real, without training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from numpy.typing import NDArray

from export.student.blocks import weighting_of
from tests.students import BUCKETS, exported_files, random_student
from training.config import StudentConfig
from training.data import edges
from training.encoders.features import graph_features, hashing_spec
from training.student.network import Student
from understudy.bundle import (
    Bundle,
    EncoderInfo,
    FileInfo,
    GraphInfo,
    Manifest,
    StudentInfo,
    open_bundle,
    write_bundle,
)
from understudy.bundle.reader import mapped_digest
from understudy.bundle.student import LOGITS_FILE, WHOLE_FILE, activation_file
from understudy.engine.full_run import compute_tables
from understudy.engine.student import load_student
from understudy.engine.updates.affected import Incremental
from understudy.engine.updates.replica import Replica
from understudy.graph import TextGraph, build_adjacency, string_array
from understudy.graph.hashing import HashingOptions
from understudy.graph.mutable.store import GraphStore
from understudy.graph.snapshot import save_snapshot

Array = NDArray[np.float32]
WORDS = ("http", "json", "kernel", "font", "mail", "chess", "proxy", "parser")
FEW_BUCKETS = HashingOptions(buckets=BUCKETS)


@dataclass(frozen=True)
class StudentBundle:
    """A bundle on disk, and the student that is in it."""

    folder: Path
    graph: TextGraph
    student: Student
    hashing: HashingOptions

    def open(self) -> Bundle:
        return open_bundle(self.folder)

    def reference(self, graph: TextGraph) -> list[Array]:
        """What PyG computes on a graph: h0, h1 and so on, the logits in place of the last one."""
        torch.set_num_threads(1)  # several would wait for each other longer than they compute
        features = graph_features(graph, hashing_spec(self.hashing))
        with torch.inference_mode():
            output = self.student(features, edges(graph.adjacency))
        return [*(h.numpy() for h in output.hidden[:-1]), output.logits.numpy()]


def hub_graph(nodes: int = 140, seed: int = 3) -> TextGraph:
    """A node with most others as neighbours, a second one with half of them, and a sparse rest."""
    generator = np.random.default_rng(seed)
    hubs = [(0, node) for node in range(1, nodes - 20)]
    hubs += [(1, node) for node in range(2, nodes - 20, 2)]
    rest = generator.integers(2, nodes, (nodes // 2, 2)).tolist()
    words = generator.choice(WORDS, (nodes, 4))
    return TextGraph(
        name="hubs",
        ids=string_array(f"n{node}" for node in range(nodes)),
        texts=string_array(" ".join(row) for row in words.tolist()),
        labels=np.arange(nodes, dtype=np.int64) % 3,
        label_names=("a", "b", "c"),
        adjacency=build_adjacency(nodes, np.array(hubs + rest))[0],
        splits={"train": np.arange(nodes // 2)},
    )


def write_student_bundle(
    folder: Path,
    graph: TextGraph,
    config: StudentConfig,
    hashing: HashingOptions = FEW_BUCKETS,
    activations: bool = True,
) -> StudentBundle:
    """Exports a random student with its graph.

    Args:
        activations: store them; without them, the engine computes them when it opens the bundle.
    """
    shape = (config, hashing.buckets, graph.num_classes, True)
    manifest = manifest_of(graph, config, hashing)

    def fill(target: Path) -> Manifest:
        (target / "student").mkdir()
        for name, content in exported_files(*shape).items():
            if name != Path(WHOLE_FILE).name:
                (target / "student" / name).write_bytes(content)
        (target / "graph").mkdir()
        save_snapshot(graph, target / "graph")
        if activations:
            save_activations(target, manifest, graph)
        return manifest

    write_bundle(folder, fill)
    return StudentBundle(folder, graph, random_student(*shape), hashing)


def save_activations(target: Path, manifest: Manifest, graph: TextGraph) -> None:
    written = {
        path.relative_to(target).as_posix(): FileInfo(path.stat().st_size, mapped_digest(path))
        for path in target.rglob("*")
        if path.is_file()
    }
    networks = load_student(Bundle(target, replace(manifest, files=written), ()), 1, "cpu")
    tables = compute_tables(networks, GraphStore(graph).view)
    (target / "activations").mkdir()
    for number, table in enumerate(tables.activations):
        np.save(target / activation_file(number), table.base)
    np.save(target / LOGITS_FILE, tables.logits.base)


def manifest_of(graph: TextGraph, config: StudentConfig, hashing: HashingOptions) -> Manifest:
    return Manifest(
        name=f"{graph.name}-{config.kind}",
        created="2026-01-01T00:00:00Z",
        made_by="test",
        label_names=graph.label_names,
        student=StudentInfo(
            config.kind, weighting_of(config.kind), config.layers, config.hidden, parameters=0
        ),
        encoder=EncoderInfo(
            kind="hashing",
            name="hashed n-grams",
            digest=hashing.digest,
            dimension=hashing.buckets,
            word_ngrams=hashing.word_ngrams,
            character_ngrams=hashing.character_ngrams,
            max_characters=hashing.max_characters,
        ),
        graph=GraphInfo(graph.name, graph.content_hash, graph.num_nodes, graph.adjacency.num_edges),
    )


def incremental_of(replica: Replica) -> Incremental:
    """What keeps its activations up."""
    assert isinstance(replica.incremental, Incremental)
    return replica.incremental
