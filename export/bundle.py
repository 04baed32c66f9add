"""Exports a student folder as a bundle."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree

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
)
from export.encoder.files import WrittenEncoder, write_encoder, write_int8
from export.errors import GateError, StaleError
from export.options import ExportOptions, check_same_graph
from export.passes import (
    THREADS,
    Activations,
    LocalPasses,
    Passes,
    PassesElsewhere,
    StudentFeatures,
    forgotten,
    inputs_as_served,
    student_inputs,
)
from export.recipe import recipe_of
from export.student.blocks import weighting_of
from export.student.files import convert_student, export_student
from export.student.forms import Form, forms_of
from training.encoders.features import (
    EncoderSpec,
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
    activation_file,
    variant_folder,
)
from understudy.bundle.text_encoder import ENCODER_FILE, INT8_FILE
from understudy.folders import check_output, check_space
from understudy.folders.kinds import BUNDLE
from understudy.graph import TextGraph, load_graph
from understudy.graph.arrays import save_array
from understudy.graph.building.reading import neighbor_column, text_columns
from understudy.graph.lineage import lineage_of
from understudy.graph.snapshot import save_snapshot
from understudy.progress import Progress, silent, step

SHARDS = "shards"  # temporary folder inside the bundle for results that a cluster computes
SETS = 3  # maximum copies of the activations there: served, in other bits, and shards of a table


@dataclass(slots=True)
class Draft:
    """A bundle while it is being written."""

    folder: Path
    checkpoint: Checkpoint
    graph: TextGraph
    info: StudentInfo
    progress: Progress
    passes: Passes
    parity: dict[str, float] = field(default_factory=dict)
    variants: dict[str, VariantInfo] = field(default_factory=dict)

    def activations(self, form: Form, inputs: StudentFeatures) -> Activations:
        return self.passes.activations(self.graph, form, inputs, self.progress)


def export_bundle(
    student_folder: Path,
    out: Path,
    options: ExportOptions,
    progress: Progress = silent,
    force: bool = False,
    elsewhere: PassesElsewhere | None = None,
) -> Manifest:
    """Exports a student and its graph; every file passes its parity gate or nothing is written.

    Args:
        force: replace a folder of another kind, too.
        elsewhere: computes the passes over all nodes; None: this process does.

    Raises:
        ExportError: a gate failed, or the graph is not the one that the student was trained on.
        TrainingError, GraphError: the student or the graph cannot be read.
        FolderError: `out` may not be replaced, or cannot be written.
    """
    checkpoint = load_checkpoint(student_folder)
    weighting_of(checkpoint.config.student.kind)  # refuses students that have no served form
    check_weights(checkpoint.student)
    graph_folder = options.graph_folder(checkpoint.config.graph_path)
    options.check_encoder(checkpoint.config.encoder.kind)
    if checkpoint.config.encoder.kind == "minilm":
        find_model(options.encoder_path)  # fails early: cached embeddings delay its use
    check_output(out, BUNDLE, [*options.inputs(student_folder), graph_folder], force)
    graph = load_graph(graph_folder)
    check_graph(checkpoint.config, graph)
    check_space(out, activation_bytes(checkpoint.config, graph) * (SETS if elsewhere else 1))

    def fill(folder: Path) -> Manifest:
        info, shards = student_info(checkpoint), folder / SHARDS
        own = elsewhere(graph, graph_folder, shards) if elsewhere else nullcontext(LocalPasses())
        with own as passes:
            draft = Draft(folder, checkpoint, graph, info, progress, passes)
            manifest = fill_folder(draft, options)
        write_card(folder, manifest, recipe_of(checkpoint, graph))
        return manifest

    return write_bundle(out, fill)


def activation_bytes(config: CheckpointConfig, graph: TextGraph) -> int:
    """Size of the stored activations and logits, which are most of a bundle."""
    width = config.student.hidden * config.student.layers + graph.num_classes
    return graph.num_nodes * width * np.dtype(np.float32).itemsize


def check_graph(config: CheckpointConfig, graph: TextGraph) -> None:
    check_same_graph(config.graph_name, config.graph_hash, graph.content_hash)
    if config.label_names != graph.label_names:  # answers are indices into these names
        raise StaleError(
            "the student's config.json names other labels than the graph, or in another order; "
            "train again"
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
    """Writes everything but the manifest, and returns the manifest without file digests."""
    config = draft.checkpoint.config
    inputs, activations = write_student(draft, options)
    encoder = encoder_info(config.encoder)
    if config.encoder.kind == "minilm":
        written = write_encoder(draft.folder, options.encoder_path, THREADS, draft.progress)
        draft.parity["encoder_cosine_gap"] = written.cosine_gap
        if options.encoder_precision != "fp32":
            served = serve_int8(draft, written, activations[-1], options)
            if served is not None:
                forgotten(activations)
                encoder = replace(encoder, file=INT8_FILE, precision="int8")
                inputs, activations = served
    for precision in options.student_precisions:
        write_variant(draft, precision, inputs, activations[-1])
    with step(draft.progress, "Writing activations and graph"):
        save_activations(draft.folder, activations)
        (draft.folder / "graph").mkdir()
        save_snapshot(draft.graph, draft.folder / "graph")
    return manifest_of(draft, options, encoder, activations[-1])


def write_student(draft: Draft, options: ExportOptions) -> tuple[StudentFeatures, Activations]:
    """Writes the student's files, and computes all activations with them."""
    student, adjacency = draft.checkpoint.student, draft.graph.adjacency
    spec = draft.checkpoint.config.encoder
    inputs = student_inputs(draft.graph, spec, options.encoder_path, draft.progress)
    with step(draft.progress, "Exporting the student"):
        export_student(student, draft.folder / "student", whole=True)
    with step(draft.progress, "Comparing it with torch"):
        draft.parity["awkward_graphs"] = check_shapes(student, draft.folder, draft.info)
        draft.parity["whole_student"] = check_whole(student, draft.folder / WHOLE_FILE)
    activations = draft.activations(Form(draft.folder, draft.info), inputs)
    draft.parity["stored_logits"] = check_stored(student, inputs.features, adjacency, activations)
    return inputs, activations


def serve_int8(
    draft: Draft,
    encoder: WrittenEncoder,
    expected: NDArray[np.float32],
    options: ExportOptions,
) -> tuple[StudentFeatures, Activations] | None:
    """Writes the int8 encoder and the activations of its embeddings, if it passes its gate.

    The stored activations must come from the served encoder. Otherwise an unseen node with the text
    and neighbours of a stored node would get different logits.

    Returns:
        None: it does not pass, and was not required.

    Raises:
        GateError: it does not pass, and was required.
    """
    cosine = write_int8(encoder, draft.graph)
    spec = draft.checkpoint.config.encoder
    inputs = inputs_as_served(draft.graph, spec, encoder, INT8_FILE, draft.passes, draft.progress)
    activations = draft.activations(Form(draft.folder, draft.info), inputs)
    verdict = judge("int8", cosine, draft.graph, expected, activations[-1])
    if verdict.passes:
        draft.variants[INT8_FILE] = verdict.info
        draft.parity["stored_logits"] = check_stored(
            draft.checkpoint.student, inputs.features, draft.graph.adjacency, activations
        )
        return inputs, activations
    forgotten(activations)
    (draft.folder / INT8_FILE).unlink()
    if options.encoder_precision == "int8":
        raise refusal("the int8 text encoder", verdict)
    return None


def write_variant(
    draft: Draft, precision: str, inputs: StudentFeatures, expected: NDArray[np.float32]
) -> None:
    """Writes the student's layers in another precision.

    Raises:
        GateError: they do not pass their gate.
    """
    name = variant_folder(precision)
    source, target = draft.folder / "student", draft.folder / name / "student"
    convert_student(draft.checkpoint.student, source, target, precision)
    verdicts = []
    for form in forms_of(draft.folder / name, draft.info):
        activations = draft.activations(form, inputs)
        cosine = smallest_cosine(expected, activations[-1])
        verdicts.append(judge(precision, cosine, draft.graph, expected, activations[-1]))
        forgotten(activations)
    for verdict in verdicts:
        if not verdict.passes:
            rmtree(draft.folder / name)
            raise refusal(f"the student in {precision}", verdict)
    draft.variants[name] = min((verdict.info for verdict in verdicts), key=worst_first)


def worst_first(info: VariantInfo) -> tuple[float, float]:
    return info.accuracy_change, info.cosine


def refusal(part: str, verdict: Verdict) -> GateError:
    return GateError(f"{part} was not written: {verdict.complaint}")


def save_activations(folder: Path, activations: Activations) -> None:
    (folder / "activations").mkdir()
    for number, values in enumerate(activations[:-1]):
        save_rows(folder / activation_file(number), values)
    save_rows(folder / LOGITS_FILE, activations[-1])


def save_rows(path: Path, values: NDArray[np.float32]) -> None:
    """Writes a .npy file; values that are already mapped from one are moved instead."""
    if isinstance(values, np.memmap) and values.filename is not None:
        Path(values.filename).replace(path)
    else:
        save_array(path, values)


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
            text_columns(graph.reading),
            neighbor_column(graph.reading),
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
