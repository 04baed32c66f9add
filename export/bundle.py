"""From a student folder to a bundle."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import cast

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from export.calibration import served_calibration, served_record
from export.checks.gates import Verdict, judge, smallest_cosine
from export.checks.parity import (
    check_shapes,
    check_stored,
    check_weights,
    check_whole,
    student_forms,
)
from export.encoder.files import WrittenEncoder, served_embeddings, write_encoder, write_int8
from export.errors import GateError, StaleError
from export.options import ExportOptions
from export.recipe import recipe_of
from export.student.activations import all_activations
from export.student.blocks import weighting_of
from export.student.files import convert_student, export_student
from training.encoders.features import (
    EncoderSpec,
    Features,
    dense_features,
    graph_features,
    hashing_options,
)
from training.encoders.minilm import find_model
from training.student.checkpoint import Checkpoint, CheckpointConfig, load_checkpoint
from understudy.bundle import (
    EncoderInfo,
    GraphInfo,
    Manifest,
    StudentInfo,
    VariantInfo,
    write_bundle,
)
from understudy.bundle.card import write_card
from understudy.bundle.student import (
    LOGITS_FILE,
    WHOLE_FILE,
    StudentNetwork,
    activation_file,
    open_student,
    variant_folder,
)
from understudy.bundle.text_encoder import ENCODER_FILE, INT8_FILE
from understudy.folders import check_output, check_space
from understudy.folders.kinds import BUNDLE
from understudy.graph import TextGraph, load_graph
from understudy.graph.lineage import lineage_of
from understudy.graph.neighborhoods import Weighting
from understudy.graph.progress import Progress, silent, step
from understudy.graph.snapshot import save_snapshot

THREADS = 2  # of onnxruntime, while exporting

Activations = list[NDArray[np.float32]]


@dataclass(slots=True)
class Draft:
    """A bundle while it is written."""

    folder: Path
    checkpoint: Checkpoint
    graph: TextGraph
    info: StudentInfo
    progress: Progress
    parity: dict[str, float] = field(default_factory=dict)
    variants: dict[str, VariantInfo] = field(default_factory=dict)

    @property
    def weighting(self) -> Weighting:
        return cast(Weighting, self.info.weighting)

    def activations(self, network: StudentNetwork, features: Features) -> Activations:
        return all_activations(
            network, features, self.graph.adjacency, self.weighting, self.progress
        )


def export_bundle(
    student_folder: Path,
    out: Path,
    options: ExportOptions,
    progress: Progress = silent,
    force: bool = False,
) -> Manifest:
    """Exports a student and its graph; every file passes its parity gate or nothing is written.

    Args:
        force: replace a folder of another kind, too.

    Raises:
        ExportError: a gate failed, or the graph is not the one that the student was trained on.
        TrainingError, GraphError: the student or the graph cannot be read.
        FolderError: `out` may not be replaced, or cannot be written.
    """
    checkpoint = load_checkpoint(student_folder)
    weighting_of(checkpoint.config.student.kind)  # refuses what has no served form
    check_weights(checkpoint.student)
    graph_folder = options.graph or Path(checkpoint.config.graph_path)
    if checkpoint.config.encoder.kind == "minilm":
        find_model(options.encoder_path)  # read last, where the texts' embeddings are cached
    check_output(out, BUNDLE, [*options.inputs(student_folder), graph_folder], force)
    graph = load_graph(graph_folder)
    check_graph(checkpoint.config, graph)
    check_space(out, activation_bytes(checkpoint.config, graph))

    def fill(folder: Path) -> Manifest:
        info = student_info(checkpoint)
        manifest = fill_folder(Draft(folder, checkpoint, graph, info, progress), options)
        write_card(folder, manifest, recipe_of(checkpoint, graph))
        return manifest

    return write_bundle(out, fill)


def activation_bytes(config: CheckpointConfig, graph: TextGraph) -> int:
    """Of the stored activations and logits, which are most of a bundle."""
    width = config.student.hidden * config.student.layers + graph.num_classes
    return graph.num_nodes * width * np.dtype(np.float32).itemsize


def check_graph(config: CheckpointConfig, graph: TextGraph) -> None:
    if graph.content_hash != config.graph_hash:
        raise StaleError(
            f"the student was trained on {config.graph_name} with content hash "
            f"{config.graph_hash[:12]}, the graph there now has {graph.content_hash[:12]}; "
            "train again, or name the right graph with --graph"
        )


def student_info(checkpoint: Checkpoint) -> StudentInfo:
    config = checkpoint.config.student
    return StudentInfo(
        kind=config.kind,
        weighting=weighting_of(config.kind),
        layers=config.layers,
        hidden=config.hidden,
        parameters=sum(weights.numel() for weights in checkpoint.student.parameters()),
    )


def fill_folder(draft: Draft, options: ExportOptions) -> Manifest:
    """Writes everything but the manifest, and returns that without the files' digests."""
    config = draft.checkpoint.config
    network, features, activations = write_student(draft, options)
    encoder = encoder_info(config.encoder)
    if config.encoder.kind == "minilm":
        written = write_encoder(draft.folder, options.encoder_path, THREADS, draft.progress)
        draft.parity["encoder_cosine_gap"] = written.cosine_gap
        if options.encoder_precision != "fp32":
            served = serve_int8(draft, written, network, activations[-1], options)
            if served is not None:
                encoder = replace(encoder, file=INT8_FILE, precision="int8")
                features, activations = served
    for precision in options.student_precisions:
        write_variant(draft, precision, features, activations[-1])
    with step(draft.progress, "Writing activations and graph"):
        save_activations(draft.folder, activations)
        (draft.folder / "graph").mkdir()
        save_snapshot(draft.graph, draft.folder / "graph")
    return manifest_of(draft, options, encoder, activations[-1])


def write_student(
    draft: Draft, options: ExportOptions
) -> tuple[StudentNetwork, Features, Activations]:
    """Writes the student's files, and computes all activations with them."""
    student, adjacency = draft.checkpoint.student, draft.graph.adjacency
    features = graph_features(
        draft.graph, draft.checkpoint.config.encoder, options.encoder_path, draft.progress
    )
    with step(draft.progress, "Exporting the student"):
        export_student(student, draft.folder / "student", whole=True)
    network = open_student(draft.folder, draft.info, THREADS, "cpu")
    with step(draft.progress, "Comparing it with torch"):
        draft.parity["awkward_graphs"] = check_shapes(student, draft.folder, draft.info)
        draft.parity["whole_student"] = check_whole(student, draft.folder / WHOLE_FILE)
    activations = draft.activations(network, features)
    draft.parity["stored_logits"] = check_stored(student, features, adjacency, activations)
    return network, features, activations


def serve_int8(
    draft: Draft,
    encoder: WrittenEncoder,
    network: StudentNetwork,
    expected: NDArray[np.float32],
    options: ExportOptions,
) -> tuple[Features, Activations] | None:
    """Writes the int8 encoder, and the activations of what it reads, if it passes its gate.

    Stored nodes must be what the served encoder makes of their texts: else an unseen node with
    the text and the neighbours of a stored one would not get its logits.

    Raises:
        GateError: it does not pass, and was asked for.
    """
    cosine = write_int8(encoder, draft.graph)
    features = dense_features(served_embeddings(draft.graph, encoder, INT8_FILE, draft.progress))
    activations = draft.activations(network, features)
    verdict = judge("int8", cosine, draft.graph, expected, activations[-1])
    if verdict.passes:
        draft.variants[INT8_FILE] = verdict.info
        draft.parity["stored_logits"] = check_stored(
            draft.checkpoint.student, features, draft.graph.adjacency, activations
        )
        return features, activations
    (draft.folder / INT8_FILE).unlink()
    if options.encoder_precision == "int8":
        raise refusal("the int8 text encoder", verdict)
    return None


def write_variant(
    draft: Draft, precision: str, features: Features, expected: NDArray[np.float32]
) -> None:
    """Writes the student's layers in another precision.

    Raises:
        GateError: they do not pass their gate.
    """
    name = variant_folder(precision)
    source, target = draft.folder / "student", draft.folder / name / "student"
    convert_student(draft.checkpoint.student, source, target, precision)
    verdicts = []
    for form in student_forms(draft.folder / name, draft.info, THREADS):
        logits = draft.activations(form, features)[-1]
        cosine = smallest_cosine(expected, logits)
        verdicts.append(judge(precision, cosine, draft.graph, expected, logits))
    for verdict in verdicts:
        if not verdict.passes:
            rmtree(draft.folder / name)
            raise refusal(f"the student in {precision}", verdict)
    draft.variants[name] = min((verdict.info for verdict in verdicts), key=worst_first)


def worst_first(info: VariantInfo) -> tuple[float, float]:
    return info.accuracy_change, info.cosine


def refusal(what: str, verdict: Verdict) -> GateError:
    return GateError(f"{what} is not written: {verdict.complaint}")


def save_activations(folder: Path, activations: Activations) -> None:
    (folder / "activations").mkdir()
    for number, values in enumerate(activations[:-1]):
        np.save(folder / activation_file(number), values)
    np.save(folder / LOGITS_FILE, activations[-1])


def manifest_of(
    draft: Draft, options: ExportOptions, encoder: EncoderInfo, logits: NDArray[np.float32]
) -> Manifest:
    graph, checkpoint = draft.graph, draft.checkpoint
    lineage = lineage_of(graph)
    return Manifest(
        name=options.name or f"{graph.name}-{draft.info.kind}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        made_by=f"understudy {version('understudy-gnn')}",
        label_names=checkpoint.config.label_names,
        student=draft.info,
        encoder=encoder,
        graph=GraphInfo(
            graph.name,
            graph.content_hash,
            graph.num_nodes,
            graph.adjacency.num_edges,
            lineage.id,
            lineage.position,
        ),
        calibration=served_calibration(checkpoint, graph, logits),
        teacher=served_record(checkpoint.served),
        parity=draft.parity,
        metrics={name: float(value) for name, value in checkpoint.metrics.items()},
        variants=draft.variants,
    )


def encoder_info(spec: EncoderSpec) -> EncoderInfo:
    if spec.kind == "minilm":
        return EncoderInfo(
            spec.kind, spec.name, spec.digest, spec.dimension, spec.max_tokens, file=ENCODER_FILE
        )
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
