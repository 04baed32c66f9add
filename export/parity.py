"""The gates: nothing is written that does not compute what was trained.

Each check returns its largest difference, which goes into the manifest, or raises.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from bundle.student import StudentNetwork
from bundle.text_encoder import TextEncoder
from export.activations import all_activations
from export.errors import ParityError
from graph.csr import Adjacency, build_adjacency
from graph.hashing import HashedTexts
from graph.neighborhoods import Weighting
from training.data import edges
from training.encoders.minilm import MiniLM
from training.features import Features, dense_features, hashed_features
from training.student import HashedInput, Student

MAX_LOGIT_DIFFERENCE = 1e-4  # absolute, or relative where a logit exceeds 1
MIN_COSINE = 0.9999


def check_logits(
    student: Student, features: Features, adjacency: Adjacency, logits: NDArray[np.float32]
) -> float:
    """Compares exported logits [N, classes] with torch's on the same graph.

    Raises:
        ParityError: they differ by more than 1e-4, or are not finite.
    """
    with torch.inference_mode():
        expected = student(features, edges(adjacency)).logits.numpy()
    if not np.isfinite(logits).all() or not np.isfinite(expected).all():
        raise ParityError("the student gives logits that are not finite; it is not exported")
    scale = np.maximum(np.abs(expected), 1.0)
    difference = float((np.abs(logits - expected) / scale).max(initial=0.0))
    if difference > MAX_LOGIT_DIFFERENCE:
        raise ParityError(
            f"exported logits differ from the trained student's by {difference:.2e}, "
            f"more than {MAX_LOGIT_DIFFERENCE:.0e}; the bundle is not written"
        )
    return difference


def check_shapes(student: Student, network: StudentNetwork, weighting: Weighting) -> float:
    """Compares on graphs whose shapes break careless exports; the largest difference."""
    differences = []
    for adjacency in awkward_graphs():
        features = random_features(student, adjacency.num_nodes)
        logits = all_activations(network, features, adjacency, weighting)[-1]
        differences.append(check_logits(student, features, adjacency, logits))
    return max(differences)


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
    lengths = generator.integers(0, 40, count)  # a text may hash to nothing
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    buckets = student.input.table.shape[0]
    drawn = generator.integers(0, buckets, int(indptr[-1])).astype(np.int32)
    weights = generator.random(int(indptr[-1]), dtype=np.float32)
    return hashed_features(HashedTexts(indptr, drawn, weights), buckets)


def check_encoder(original: MiniLM, exported: TextEncoder) -> float:
    """One minus the smallest cosine to the original, over texts of 1 to 256 tokens.

    Every text is encoded alone and in one padded batch with all the others.

    Raises:
        ParityError: a cosine is below 0.9999.
    """
    texts = [" ".join(["graph"] * words) for words in (1, 2, 7, 30, 63, 129, 254, 400)]
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
