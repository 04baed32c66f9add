"""A tiny GraphSAGE bundle that needs no training: ONNX by hand, and the same sums in numpy."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from understudy.bundle import (
    Calibration,
    EncoderInfo,
    GraphInfo,
    Manifest,
    StudentInfo,
    open_bundle,
    write_bundle,
)
from understudy.bundle.student import INPUT_FILE, LOGITS_FILE, activation_file, layer_file
from understudy.bundle.text_encoder import ENCODER_FILE, TOKENIZER_FILE
from understudy.graph.csr import build_adjacency
from understudy.graph.hashing import HashingOptions, TextHasher
from understudy.graph.lineage import lineage_of
from understudy.graph.snapshot import save_snapshot
from understudy.graph.text_graph import TextGraph, string_array

Array = NDArray[np.float32]

LABELS = ("net", "editors", "games", "science")
TOPICS = ("http socket url", "text buffer cursor", "sprite level score", "matrix proof atom")
NODES = 40  # node 0 is a hub, the last one has no neighbour
HIDDEN = 8
HASHING = HashingOptions(buckets=256, max_characters=500)
MAX_TOKENS = 16


@dataclass(frozen=True)
class Layer:
    """One GraphSAGE layer: h @ own + mean(neighbours) @ other + bias."""

    own: Array  # [d, d']
    other: Array  # [d, d']
    bias: Array  # [d']


@dataclass(frozen=True)
class Weights:
    embedding: Array  # [buckets or tokens, HIDDEN]
    input: Layer | None  # with a transformer encoder: its `own` and `bias`
    layers: tuple[Layer, ...]


def tiny_graph(label_names: tuple[str, ...] = LABELS) -> TextGraph:
    """A hub, a ring with chords and a node that stands alone; four topics in the texts."""
    generator = np.random.default_rng(7)
    labels = np.arange(NODES) % len(LABELS)
    texts = [f"{TOPICS[label]} number{node} ü" for node, label in enumerate(labels.tolist())]
    ring = [(node, node + 1) for node in range(1, NODES - 2)]
    hub = [(0, node) for node in range(1, NODES - 1, 2)]
    chords = generator.integers(1, NODES - 1, (20, 2)).tolist()
    return TextGraph(
        name="tiny",
        ids=string_array(f"node-{node}" for node in range(NODES)),
        texts=string_array(texts),
        labels=labels.astype(np.int64),
        label_names=label_names,
        adjacency=build_adjacency(NODES, np.array(ring + hub + chords))[0],
        splits={"train": np.arange(0, 20), "test": np.arange(20, NODES)},
    )


def random_layer(generator: np.random.Generator, width: int, out: int) -> Layer:
    own, other = generator.normal(0, 0.5, (2, width, out)).astype(np.float32)
    return Layer(own, other, generator.normal(0, 0.1, out).astype(np.float32))


def random_weights(encoder: str, seed: int, classes: int) -> Weights:
    generator = np.random.default_rng(seed)
    rows = HASHING.buckets if encoder == "hashing" else len(vocabulary())
    return Weights(
        embedding=generator.normal(0, 1, (rows, HIDDEN)).astype(np.float32),
        input=None if encoder == "hashing" else random_layer(generator, HIDDEN, HIDDEN),
        layers=(
            random_layer(generator, HIDDEN, HIDDEN),
            random_layer(generator, HIDDEN, classes),
        ),
    )


def vocabulary() -> dict[str, int]:
    words = ["[UNK]", *sorted({word for topic in TOPICS for word in topic.split()}), "json"]
    return {word: index for index, word in enumerate(words)}


def word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(vocabulary(), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


# What the networks compute, in plain numpy.


def reference_h0(weights: Weights, texts: list[str]) -> Array:
    if weights.input is None:
        hashed = TextHasher(HASHING)(texts)
        rows = np.zeros((len(texts), HIDDEN), np.float32)
        for row, (start, end) in enumerate(zip(hashed.indptr, hashed.indptr[1:], strict=False)):
            rows[row] = hashed.weights[start:end] @ weights.embedding[hashed.buckets[start:end]]
        return np.maximum(rows, 0)
    tokenizer = word_tokenizer()
    tokenizer.enable_truncation(MAX_TOKENS)
    means = np.stack([weights.embedding[tokenizer.encode(text).ids].mean(axis=0) for text in texts])
    unit = means / np.linalg.norm(means, axis=1, keepdims=True)
    result: Array = np.maximum(unit @ weights.input.own + weights.input.bias, 0)
    return result


def reference_layer(layer: Layer, h: Array, means: Array, last: bool) -> Array:
    result: Array = h @ layer.own + means @ layer.other + layer.bias
    return result if last else np.maximum(result, 0)


def reference_activations(weights: Weights, graph: TextGraph) -> list[Array]:
    """h0, h1 and so on of every node; the last one holds the logits."""
    activations = [reference_h0(weights, graph.texts.to_pylist())]
    for number, layer in enumerate(weights.layers, start=1):
        h = activations[-1]
        means = np.zeros_like(h)
        for node in range(graph.num_nodes):
            if len(neighbors := graph.adjacency.neighbors(node)):
                means[node] = h[neighbors].mean(axis=0)
        activations.append(reference_layer(layer, h, means, last=number == len(weights.layers)))
    return activations


# The same as ONNX files.


def save_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, list[str | int]]],
    constants: Mapping[str, NDArray[np.generic]],
) -> None:
    """Writes a graph whose output is `out`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in inputs.items()],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["B", "width"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def save_hashed_input(path: Path, weights: Weights) -> None:
    nodes = [
        helper.make_node("Gather", ["embedding", "buckets"], ["rows"]),  # [B, K, d]
        helper.make_node("Unsqueeze", ["weights", "one"], ["row_weights"]),  # [B, 1, K]
        helper.make_node("MatMul", ["row_weights", "rows"], ["summed"]),
        helper.make_node("Squeeze", ["summed", "one"], ["flat"]),
        helper.make_node("Relu", ["flat"], ["out"]),
    ]
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "buckets": (TensorProto.INT64, ["B", "K"]),
        "weights": (TensorProto.FLOAT, ["B", "K"]),
    }
    save_onnx(path, nodes, inputs, {"embedding": weights.embedding, "one": np.array([1])})


def save_dense_input(path: Path, layer: Layer) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "own"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["out"]),
    ]
    constants = {"own": layer.own, "bias": layer.bias}
    save_onnx(path, nodes, {"x": (TensorProto.FLOAT, ["B", HIDDEN])}, constants)


def save_encoder(path: Path, embedding: Array) -> None:
    """The mean of the words' rows, of unit length."""
    nodes = [
        helper.make_node("Gather", ["embedding", "input_ids"], ["rows"]),  # [B, T, d]
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "one"], ["row_mask"]),  # [B, 1, T]
        helper.make_node("MatMul", ["row_mask", "rows"], ["summed"]),
        helper.make_node("Squeeze", ["summed", "one"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["out"], axis=1, p=2),
    ]
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "input_ids": (TensorProto.INT64, ["B", "T"]),
        "attention_mask": (TensorProto.INT64, ["B", "T"]),
    }
    save_onnx(path, nodes, inputs, {"embedding": embedding, "one": np.array([1])})


def save_layer(path: Path, layer: Layer, last: bool) -> None:
    width = len(layer.own)
    nodes = [
        helper.make_node("Gather", ["table", "index"], ["rows"]),  # [B, K, d]
        helper.make_node("Unsqueeze", ["weight", "one"], ["row_weight"]),  # [B, 1, K]
        helper.make_node("MatMul", ["row_weight", "rows"], ["summed"]),
        helper.make_node("Squeeze", ["summed", "one"], ["mean"]),
        helper.make_node("MatMul", ["mean", "other"], ["from_others"]),
        helper.make_node("MatMul", ["h", "own"], ["from_self"]),
        helper.make_node("Add", ["from_self", "from_others"], ["both"]),
        helper.make_node("Add", ["both", "bias"], ["sum"]),
        helper.make_node("Identity" if last else "Relu", ["sum"], ["out"]),
    ]
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "h": (TensorProto.FLOAT, ["B", width]),
        "table": (TensorProto.FLOAT, ["N", width]),
        "index": (TensorProto.INT64, ["B", "K"]),
        "weight": (TensorProto.FLOAT, ["B", "K"]),
    }
    constants: Mapping[str, NDArray[np.generic]] = {
        "own": layer.own,
        "other": layer.other,
        "bias": layer.bias,
        "one": np.array([1]),
    }
    save_onnx(path, nodes, inputs, constants)


def tiny_manifest(graph: TextGraph, encoder: str) -> Manifest:
    info = EncoderInfo(
        kind=encoder,
        name="hashed n-grams" if encoder == "hashing" else "word means",
        digest=HASHING.digest if encoder == "hashing" else hashlib.sha256(b"tiny").hexdigest(),
        dimension=HASHING.buckets if encoder == "hashing" else HIDDEN,
        max_tokens=0 if encoder == "hashing" else MAX_TOKENS,
        max_characters=HASHING.max_characters,
    )
    return Manifest(
        name=f"tiny-{encoder}",
        created="2026-01-01T00:00:00Z",
        made_by="test",
        label_names=graph.label_names,
        student=StudentInfo("sage", "mean", layers=2, hidden=HIDDEN, parameters=1_000),
        encoder=info,
        graph=GraphInfo(
            "tiny",
            graph.content_hash,
            graph.num_nodes,
            graph.adjacency.num_edges,
            lineage_of(graph).id,
            lineage_of(graph).position,
        ),
        calibration=Calibration(temperature=2.0),
        metrics={"test_accuracy": 0.5},
    )


def with_texts(bundle: Path, out: Path, *columns: str, neighbors: str = "") -> Path:
    """A copy of a bundle whose graph had its texts, and its neighbours, of these columns."""

    def fill(target: Path) -> Manifest:
        shutil.copytree(bundle, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        manifest = open_bundle(bundle).manifest
        graph = msgspec.structs.replace(manifest.graph, texts=columns, neighbors=neighbors)
        return msgspec.structs.replace(manifest, graph=graph)

    write_bundle(out, fill)
    return out


@dataclass(frozen=True)
class TinyBundle:
    """A bundle on disk, and what it must answer."""

    folder: Path
    graph: TextGraph
    weights: Weights
    activations: list[Array]

    @property
    def logits(self) -> Array:
        return self.activations[-1]

    def neighbors(self, node: int) -> tuple[str, ...]:
        return tuple(f"node-{index}" for index in self.graph.adjacency.neighbors(node).tolist())

    def text(self, node: int) -> str:
        return str(self.graph.texts[node].as_py())


def write_tiny_bundle(
    folder: Path,
    encoder: str = "hashing",
    label_names: tuple[str, ...] = LABELS,
    graph: TextGraph | None = None,
    seed: int = 11,
) -> TinyBundle:
    """Writes a whole bundle.

    Args:
        encoder: hashing, or minilm (for which a mean of word vectors stands in).
        label_names: four.
        graph: another one than the usual.
        seed: of the weights.
    """
    graph = tiny_graph(label_names) if graph is None else graph
    weights = random_weights(encoder, seed, graph.num_classes)
    activations = reference_activations(weights, graph)

    def fill(target: Path) -> Manifest:
        for name in ("graph", "activations", "student", "encoder"):
            (target / name).mkdir()
        if weights.input is None:
            save_hashed_input(target / INPUT_FILE, weights)
        else:
            save_dense_input(target / INPUT_FILE, weights.input)
            save_encoder(target / ENCODER_FILE, weights.embedding)
            word_tokenizer().save(str(target / TOKENIZER_FILE))
        for number, layer in enumerate(weights.layers, start=1):
            save_layer(target / layer_file(number), layer, last=number == len(weights.layers))
            np.save(target / activation_file(number - 1), activations[number - 1])
        np.save(target / LOGITS_FILE, activations[-1])
        save_snapshot(graph, target / "graph")
        return tiny_manifest(graph, encoder)

    write_bundle(folder, fill)
    return TinyBundle(folder, graph, weights, activations)


def rewrite(bundle: Path, change: Mapping[str, NDArray[np.generic]], **fields: Any) -> None:
    """Replaces arrays and manifest fields of a bundle, so that its digests still hold."""
    old = open_bundle(bundle)

    def fill(target: Path) -> Manifest:
        for name in old.manifest.files:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if name in change:
                np.save(target / name, change[name])
            else:
                (target / name).write_bytes((bundle / name).read_bytes())
        return msgspec.structs.replace(old.manifest, **fields)

    write_bundle(bundle, fill)
