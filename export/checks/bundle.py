"""Checks a bundle again, without the student that it was made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
from numpy.typing import NDArray

from export.checks.parity import MAX_LOGIT_DIFFERENCE, student_forms
from export.errors import ParityError
from export.student.activations import first_activations, input_feeds
from training.encoders.features import Features, HashedFeatures, dense_features
from understudy.bundle import Bundle, open_bundle
from understudy.bundle.runtime import onnxruntime
from understudy.bundle.sessions import PROVIDERS, Network
from understudy.bundle.student import (
    LOGITS_FILE,
    WHOLE_FILE,
    StudentNetwork,
    activation_file,
    open_student,
    variant_folder,
)
from understudy.bundle.text_encoder import open_text_encoder
from understudy.graph import TextGraph
from understudy.graph.hashing import HashingOptions, TextHasher
from understudy.graph.layers.neighborhoods import Weighting, stored_neighborhoods
from understudy.graph.layers.propagation import propagate
from understudy.graph.layers.receptive_field import receptive_field
from understudy.graph.snapshot import load_snapshot

SAMPLED_NODES = 2_000  # all nodes of a smaller graph
SAMPLED_TEXTS = 50  # encoding is slow


@dataclass(frozen=True, slots=True)
class Report:
    differences: dict[str, float]  # what was compared → largest difference
    providers: tuple[str, ...]  # available in this installation


def check_bundle(folder: Path) -> Report:
    """Verifies digests, weights and shapes, and recomputes stored values with the files.

    Raises:
        BundleError: missing, damaged, changed, or of another schema.
        GraphError: the graph in it is damaged.
        ParityError: the files do not reproduce the stored values.
    """
    bundle = open_bundle(folder)
    graph = load_snapshot(folder / "graph")
    check_files(bundle)
    tables = stored_tables(bundle, graph)
    generator = np.random.default_rng(0)
    count = min(SAMPLED_NODES, graph.num_nodes)
    nodes = np.sort(generator.choice(graph.num_nodes, count, replace=False))
    network = open_student(bundle, bundle.manifest.student, 1, "cpu")
    differences = {"input": check_input(bundle, network, graph, tables[0], nodes[:SAMPLED_TEXTS])}
    for name, form in zip(
        ("layers", "gathering layers"),
        student_forms(folder, bundle.manifest.student),
        strict=True,
    ):
        differences[name] = check_layers(bundle, form, graph, tables, nodes)
    differences["whole student"] = check_whole_file(bundle, graph, tables)
    available = onnxruntime.get_available_providers()
    found = tuple(name for name, provider in PROVIDERS.items() if provider in available)
    return Report(differences, found)


def check_files(bundle: Bundle) -> None:
    """Refuses a network that is invalid ONNX, holds a NaN, or cannot be opened."""
    for name in bundle.manifest.files:
        if not name.endswith(".onnx"):
            continue
        model = onnx.load(bundle.path(name))
        for weights in model.graph.initializer:
            values = onnx.numpy_helper.to_array(weights)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ParityError(f"{name}: {weights.name} holds values that are not finite")
        Network(bundle.path(name))
    for name in bundle.manifest.variants:
        prefix = name + "/" if name.startswith(variant_folder("")) else name
        if not any(path.startswith(prefix) for path in bundle.manifest.files):
            raise ParityError(f"the manifest names the variant {name}, which is missing")


def stored_tables(bundle: Bundle, graph: TextGraph) -> list[NDArray[np.float32]]:
    """h0 … h(L-1) and the logits; checks that they are finite and have the manifest's shapes."""
    info, classes = bundle.manifest.student, len(bundle.manifest.label_names)
    if graph.label_names != bundle.manifest.label_names:
        raise ParityError(
            f"the manifest has {classes} labels, the graph {graph.num_classes}, or other names"
        )
    names = [*(activation_file(number) for number in range(info.layers)), LOGITS_FILE]
    tables = [np.asarray(bundle.array(name)) for name in names]
    for name, table in zip(names, tables, strict=True):
        width = classes if name == LOGITS_FILE else info.hidden
        if table.shape != (graph.num_nodes, width) or table.dtype != np.float32:
            raise ParityError(
                f"{name} is {table.dtype} {list(table.shape)}, but the manifest demands float32 "
                f"{[graph.num_nodes, width]}"
            )
        if not np.isfinite(table).all():
            raise ParityError(f"{name} holds values that are not finite")
    return cast(list[NDArray[np.float32]], tables)


def check_input(
    bundle: Bundle,
    network: StudentNetwork,
    graph: TextGraph,
    stored: NDArray[np.float32],
    nodes: NDArray[np.int64],
) -> float:
    """Encodes texts again and compares with the stored h0."""
    texts = [str(text) for text in graph.texts.take(nodes).to_pylist()]
    found = first_activations(network, text_features(bundle, texts), len(texts))
    return compare("texts encoded anew", found, stored[nodes])


def text_features(bundle: Bundle, texts: list[str]) -> Features:
    """The inputs of the student's input network for some texts."""
    info = bundle.manifest.encoder
    if info.kind == "minilm":
        return dense_features(open_text_encoder(bundle, info)(texts))
    options = HashingOptions(
        info.dimension, info.word_ngrams, info.character_ngrams, info.max_characters
    )
    return HashedFeatures(TextHasher(options)(texts), info.dimension)


def check_layers(
    bundle: Bundle,
    network: StudentNetwork,
    graph: TextGraph,
    tables: list[NDArray[np.float32]],
    nodes: NDArray[np.int64],
) -> float:
    """Recomputes some nodes' values of every layer from the stored layer below."""
    weighting = cast(Weighting, bundle.manifest.student.weighting)
    near = stored_neighborhoods(graph.adjacency, nodes)
    differences = []
    for number, layer in enumerate(network.layers):
        table = tables[number]
        found = propagate(layer, table[nodes], table, near, weighting)
        differences.append(compare(f"layer {number + 1}", found, tables[number + 1][nodes]))
    return max(differences)


def check_whole_file(bundle: Bundle, graph: TextGraph, tables: list[NDArray[np.float32]]) -> float:
    """Runs student.onnx on a node of median degree, from texts."""
    info = bundle.manifest.student
    order = np.argsort(graph.adjacency.degrees, kind="stable")
    for node in order[len(order) // 2 :: -1]:  # tries fewer neighbours until the field is small
        field = receptive_field(
            graph.adjacency, np.array([node]), info.layers, cast(Weighting, info.weighting)
        )
        if len(field.nodes) <= SAMPLED_TEXTS:
            break
    texts = [str(text) for text in graph.texts.take(field.nodes).to_pylist()]
    features = text_features(bundle, texts)
    feeds = {**field.feeds(), **input_feeds(features, np.arange(len(texts)))}
    found = Network(bundle.path(WHOLE_FILE))(feeds)
    return compare(WHOLE_FILE, found, tables[-1][[node]])


def compare(part: str, found: NDArray[np.float32], stored: NDArray[np.float32]) -> float:
    """The largest difference, relative for values above 1.

    Raises:
        ParityError: shapes differ, or values differ too much.
    """
    if found.shape != stored.shape:
        raise ParityError(
            f"{part}: has shape {list(found.shape)}, but {list(stored.shape)} is stored"
        )
    scale = np.maximum(np.abs(stored), 1.0)
    difference = float((np.abs(found - stored) / scale).max(initial=0.0))
    if not difference <= MAX_LOGIT_DIFFERENCE:
        raise ParityError(
            f"{part}: differs from the stored values by {difference:.2e}, more than "
            f"{MAX_LOGIT_DIFFERENCE:.0e}; export the student again"
        )
    return difference
