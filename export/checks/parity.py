"""The gates: nothing is written that does not compute what was trained.

Each check returns its largest difference, which goes into the manifest, or raises.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from export.errors import ParityError
from export.student.activations import all_activations, input_feeds
from export.student.blocks import weighting_of
from export.student.forms import forms_of
from training.data import edges
from training.encoders.features import Features, HashedFeatures, dense_features, take_rows
from training.encoders.minilm import MiniLM
from training.student.batches import sample, sampled_edges
from training.student.network import HashedInput, Student
from understudy.bundle import StudentInfo
from understudy.bundle.sessions import Network
from understudy.bundle.student import StudentNetwork
from understudy.bundle.text_encoder import TextEncoder
from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.hashing import HashedTexts
from understudy.graph.layers.neighborhoods import Weighting
from understudy.graph.layers.receptive_field import receptive_field

MAX_LOGIT_DIFFERENCE = 1e-4  # absolute, or relative for logits above 1
MIN_COSINE = 0.9999
COMPARED_WHOLE = 2**18  # size up to which torch recomputes the whole graph
COMPARED = 2**15  # number of nodes compared in a larger graph


def check_logits(
    student: Student,
    features: Features,
    adjacency: Adjacency,
    logits: NDArray[np.float32],
    nodes: NDArray[np.int64] | None = None,
) -> float:
    """Compares exported logits with torch's on the same graph.

    Shapes:
        logits: float32 [N, classes], or [B, classes] of `nodes`, int64 [B]

    Raises:
        ParityError: they differ by more than 1e-4, or are not finite.
    """
    with torch.inference_mode():
        expected = student(features, edges(adjacency)).logits.numpy()
    return difference(logits, expected if nodes is None else expected[nodes])


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference between two arrays.

    Raises:
        ParityError: it is more than 1e-4, or a value is not finite.
    """
    if not np.isfinite(found).all() or not np.isfinite(expected).all():
        raise ParityError("the student gives logits that are not finite; it is not exported")
    scale = np.maximum(np.abs(expected), 1.0)
    largest = float((np.abs(found - expected) / scale).max(initial=0.0))
    if largest > MAX_LOGIT_DIFFERENCE:
        raise ParityError(
            f"exported logits differ from the trained student's by {largest:.2e}, "
            f"more than {MAX_LOGIT_DIFFERENCE:.0e}; the bundle is not written"
        )
    return largest


def check_stored(
    student: Student,
    features: Features,
    adjacency: Adjacency,
    activations: Sequence[NDArray[np.float32]],
) -> float:
    """Compares stored values with torch's; for a large graph layer by layer, on some nodes.

    Raises:
        ParityError: see `check_logits`.
    """
    if adjacency.num_nodes <= COMPARED_WHOLE:
        return check_logits(student, features, adjacency, activations[-1])
    if not np.isfinite(activations[-1]).all():
        raise ParityError("the student gives logits that are not finite; it is not exported")
    drawn = np.random.default_rng(0).choice(adjacency.num_nodes, COMPARED, replace=False)
    return check_layers(student, features, adjacency, activations, np.sort(drawn))


def check_layers(
    student: Student,
    features: Features,
    adjacency: Adjacency,
    activations: Sequence[NDArray[np.float32]],
    nodes: NDArray[np.int64],
) -> float:
    """Compares each layer's stored values of some nodes (int64 [B]) with torch's, computed from the
    stored layer below.

    Raises:
        ParityError: see `check_logits`.
    """
    near, pairs = all_neighbors(adjacency, nodes)
    around = sampled_edges(adjacency, near, pairs, student.config.kind)
    with torch.inference_mode():
        first = student.embed(take_rows(features, torch.from_numpy(nodes))).numpy()
        differences = [difference(activations[0][nodes], first)]
        for number, layer in enumerate(student.layers):
            head = student.head if number == len(student.layers) - 1 else None
            table = torch.from_numpy(activations[number][near])
            output = layer(table, around, head, len(nodes))
            expected = output[: len(nodes)].numpy()
            differences.append(difference(activations[number + 1][nodes], expected))
    return max(differences)


def all_neighbors(
    adjacency: Adjacency, nodes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nodes first, then their neighbours, and the edges between them; see `sample`."""
    most = int(adjacency.degrees[nodes].max(initial=1))
    near, pairs, _ = sample(adjacency, nodes, 1, most, np.random.default_rng(0))
    return near, pairs


def check_shapes(student: Student, folder: Path, info: StudentInfo) -> float:
    """Compares on graphs with awkward shapes; returns the largest difference.

    Runs both forms of every layer: dense and gathering.
    """
    differences = []
    for form in student_forms(folder, info):
        for adjacency in awkward_graphs():
            features = random_features(student, adjacency.num_nodes)
            weighting = cast(Weighting, info.weighting)
            logits = all_activations(form, features, adjacency, weighting)[-1]
            differences.append(check_logits(student, features, adjacency, logits))
    return max(differences)


def student_forms(folder: Path, info: StudentInfo) -> list[StudentNetwork]:
    """A folder's student in its CPU form and in its gathering GPU form."""
    return [form.open(threads=1) for form in forms_of(folder, info)]


def check_whole(student: Student, path: Path) -> float:
    """Compares student.onnx on the same graphs, for all nodes and a few; the largest difference."""
    differences = []
    network = Network(path)
    layers, weighting = student.config.layers, weighting_of(student.config.kind)
    for adjacency in awkward_graphs():
        count = adjacency.num_nodes
        features = random_features(student, count)
        for seeds in (np.arange(count), np.array([count - 1, 0, 0])):
            field = receptive_field(adjacency, seeds, layers, weighting)
            logits = network({**field.feeds(), **input_feeds(features, field.nodes)})
            differences.append(check_logits(student, features, adjacency, logits, seeds))
    return max(differences)


def check_weights(student: Student) -> None:
    """Refuses weights that are not finite; a ReLU may hide them from all other checks."""
    for name, weights in student.named_parameters():
        if not torch.isfinite(weights).all():
            raise ParityError(f"the student's {name} holds values that are not finite")


def awkward_graphs() -> Iterator[Adjacency]:
    """One node; no edges; one edge and isolated nodes; duplicates and loops; a hub of 300."""
    generator = np.random.default_rng(0)
    yield build_adjacency(1, np.empty((0, 2), np.int64))[0]
    yield build_adjacency(5, np.empty((0, 2), np.int64))[0]
    yield build_adjacency(6, np.array([[1, 4]]))[0]
    yield build_adjacency(4, np.array([[0, 1], [1, 0], [0, 1], [2, 2], [3, 1]]))[0]
    hub = np.stack([np.zeros(300, np.int64), np.arange(1, 301)], axis=1)
    yield build_adjacency(320, np.concatenate([hub, generator.integers(0, 310, (200, 2))]))[0]


def random_features(student: Student, count: int) -> Features:
    generator = np.random.default_rng(count)
    if not isinstance(student.input, HashedInput):
        width = student.input.in_features
        return dense_features(generator.standard_normal((count, width)).astype(np.float32))
    lengths = generator.integers(0, 40, count)  # some texts have no n-grams
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    buckets = student.input.table.shape[0]
    drawn = generator.integers(0, buckets, int(indptr[-1])).astype(np.int32)
    weights = generator.random(int(indptr[-1]), dtype=np.float32)
    return HashedFeatures(HashedTexts(indptr, drawn, weights), buckets)


def check_encoder(original: MiniLM, exported: TextEncoder) -> float:
    """One minus the smallest cosine to the original, over texts of 1 to 256 tokens.

    Every text is encoded alone and in a padded batch with all others.

    Raises:
        ParityError: a cosine is below 0.9999.
    """
    texts = sample_texts()
    expected = np.concatenate([original.encode([text]) for text in texts])
    alone = np.concatenate([exported([text]) for text in texts])
    padded = exported.encode([encoding.ids for encoding in exported.tokenizer.encode_batch(texts)])
    worst = 1.0
    for name, found in (("alone", alone), ("padded", padded)):
        cosine = float((expected * found).sum(axis=1).min())
        if not cosine >= MIN_COSINE:
            raise ParityError(
                f"the exported encoder's cosine to the original is {cosine:.6f} for texts {name}, "
                f"below {MIN_COSINE}; the bundle is not written"
            )
        worst = min(worst, cosine)
    return 1.0 - worst


def sample_texts() -> list[str]:
    """Texts of 1 to more than 256 tokens."""
    return [" ".join(["graph"] * words) for words in (1, 2, 7, 30, 63, 129, 254, 400)]
