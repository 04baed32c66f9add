"""From a student folder to a bundle."""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bundle import EncoderInfo, GraphInfo, Manifest, StudentInfo, write_bundle
from bundle.student import LOGITS_FILE, activation_file, open_student
from bundle.text_encoder import ENCODER_FILE, TOKENIZER_FILE, TextEncoder
from export.activations import all_activations
from export.blocks import WEIGHTINGS
from export.errors import StaleError
from export.onnx_files import export_encoder, export_student
from export.parity import check_encoder, check_logits, check_shapes
from graph import TextGraph, load_graph
from graph.neighborhoods import Weighting
from graph.progress import Progress, silent
from graph.snapshot import save_snapshot
from training.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint
from training.encoders.minilm import load_minilm
from training.encoding import EncoderSpec, graph_features, hashing_options

THREADS = 2  # of onnxruntime, while exporting


@dataclass(frozen=True, slots=True)
class ExportOptions:
    graph: Path | None = None  # where the graph folder is now, if it was moved
    encoder_path: Path | None = None  # MiniLM's folder, where it is not installed
    name: str | None = None  # of the model; else the graph's and the student's


def export_bundle(
    student_folder: Path, out: Path, options: ExportOptions, progress: Progress = silent
) -> Manifest:
    """Exports a student and its graph; every file passes its parity gate or nothing is written.

    Raises:
        ExportError: a gate failed, or the graph is not the one that the student was trained on.
        TrainingError, GraphError: the student or the graph cannot be read.
    """
    checkpoint = load_checkpoint(student_folder)
    graph = load_graph(options.graph or Path(checkpoint.config.graph_path))
    check_graph(checkpoint.config, graph)

    def fill(folder: Path) -> Manifest:
        return fill_folder(folder, checkpoint, graph, options, progress)

    return write_bundle(out, fill)


def check_graph(config: CheckpointConfig, graph: TextGraph) -> None:
    if graph.content_hash != config.graph_hash:
        raise StaleError(
            f"the student was trained on {config.graph_name} with content hash "
            f"{config.graph_hash[:12]}, the graph there now has {graph.content_hash[:12]}; "
            "train again, or name the right graph with --graph"
        )


def fill_folder(
    folder: Path,
    checkpoint: Checkpoint,
    graph: TextGraph,
    options: ExportOptions,
    progress: Progress,
) -> Manifest:
    """Writes everything but the manifest, and returns that without the files' digests."""
    config, student = checkpoint.config, checkpoint.student
    weighting = cast(Weighting, WEIGHTINGS[config.student.kind])
    info = StudentInfo(
        kind=config.student.kind,
        weighting=weighting,
        layers=config.student.layers,
        hidden=config.student.hidden,
        parameters=sum(weights.numel() for weights in student.parameters()),
    )
    parity: dict[str, float] = {}
    if config.encoder.kind == "minilm":
        parity["encoder_cosine_gap"] = write_encoder(folder, options.encoder_path, progress)
    features = graph_features(graph, config.encoder, options.encoder_path, progress)
    progress("Exporting the student", 0, 1)
    export_student(student, folder / "student")
    progress("Exporting the student", 1, 1)
    network = open_student(folder, info, THREADS, "cpu")
    parity["awkward_graphs"] = check_shapes(student, network, weighting)
    activations = all_activations(network, features, graph.adjacency, weighting, progress)
    parity["stored_logits"] = check_logits(student, features, graph.adjacency, activations[-1])
    save_activations(folder, activations)
    (folder / "graph").mkdir()
    save_snapshot(graph, folder / "graph")
    return Manifest(
        name=options.name or f"{graph.name}-{config.student.kind}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"understudy {version('understudy')}",
        label_names=config.label_names,
        student=info,
        encoder=encoder_info(config.encoder),
        graph=GraphInfo(graph.name, graph.content_hash, graph.num_nodes, graph.adjacency.num_edges),
        parity=parity,
        metrics={name: float(value) for name, value in checkpoint.metrics.items()},
    )


def write_encoder(folder: Path, model_path: Path | None, progress: Progress) -> float:
    """Exports MiniLM with its tokenizer; returns what `check_encoder` measured."""
    progress("Exporting the text encoder", 0, 1)
    original = load_minilm(model_path)
    export_encoder(original.module, folder / ENCODER_FILE)
    copyfile(original.folder / "tokenizer.json", folder / TOKENIZER_FILE)
    difference = check_encoder(original, TextEncoder(folder, original.max_tokens, THREADS))
    progress("Exporting the text encoder", 1, 1)
    return difference


def save_activations(folder: Path, activations: list[NDArray[np.float32]]) -> None:
    (folder / "activations").mkdir()
    for number, values in enumerate(activations[:-1]):
        np.save(folder / activation_file(number), values)
    np.save(folder / LOGITS_FILE, activations[-1])


def encoder_info(spec: EncoderSpec) -> EncoderInfo:
    if spec.kind == "minilm":
        return EncoderInfo(spec.kind, spec.name, spec.digest, spec.dimension, spec.max_tokens)
    options = hashing_options(spec)
    return EncoderInfo(
        kind=spec.kind,
        name=spec.name,
        digest=spec.digest,
        dimension=spec.dimension,
        word_ngrams=options.word_ngrams,
        character_ngrams=options.character_ngrams,
        max_characters=options.max_characters,
    )
