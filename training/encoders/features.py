"""Node features as the student's input layer reads them, made of texts and cached.

They are dense embeddings of a transformer, or hashed n-grams.
"""

import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.config import ENCODER_KINDS, EncoderKind
from training.encoders.sparse_product import SparseRows, sparse_rows
from training.errors import EncoderError
from understudy.graph import TextGraph
from understudy.graph.files import atomic_file, cache_folder
from understudy.graph.hashing import SCHEME, HashedTexts, HashingOptions, TextHasher
from understudy.graph.progress import Progress, silent, step

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MAX_TOKENS = 256  # the length that the model was trained for


@dataclass(frozen=True, slots=True)
class HashedFeatures:
    """Hashed texts, and the same as a matrix that trains fast."""

    texts: HashedTexts
    rows: SparseRows

    def __len__(self) -> int:
        return len(self.texts)


Features = Tensor | HashedFeatures  # dense: float32 [N, dimension]


def dense_features(embeddings: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(embeddings))


def hashed_features(texts: HashedTexts, buckets: int) -> HashedFeatures:
    shape = len(texts), buckets
    matrix = sparse.csr_array((texts.weights, texts.buckets, texts.indptr), shape)
    return HashedFeatures(texts, sparse_rows(matrix))


def take_rows(features: Features, nodes: Tensor) -> Features:
    """The features of some nodes (int64 [n]), in their order."""
    if isinstance(features, HashedFeatures):
        return hashed_features(features.texts.rows(nodes.numpy()), features.rows.shape[1])
    return features[nodes]


def csr_tensor(matrix: sparse.csr_array) -> Tensor:
    """A scipy CSR matrix as a torch one, sharing nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=False,
        )


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Which encoder made the features; part of every checkpoint."""

    kind: EncoderKind
    name: str
    digest: str  # SHA-256 of the weights, or of the hashing options
    dimension: int  # width of an embedding, or number of buckets
    max_tokens: int = 0  # MiniLM only
    hashing: dict[str, object] = field(default_factory=dict)  # the hashing options


def minilm_spec() -> EncoderSpec:
    return EncoderSpec("minilm", MODEL_NAME, WEIGHTS_DIGEST, 384, MAX_TOKENS)


def hashing_spec(options: HashingOptions) -> EncoderSpec:
    return EncoderSpec("hashing", SCHEME, options.digest, options.buckets, 0, asdict(options))


def encoder_spec(kind: str) -> EncoderSpec:
    """The spec of an encoder with its default options."""
    if kind == "minilm":
        return minilm_spec()
    if kind == "hashing":
        return hashing_spec(HashingOptions())
    raise EncoderError(f"unknown encoder {kind!r}; choose from {', '.join(ENCODER_KINDS)}")


def graph_features(
    graph: TextGraph,
    spec: EncoderSpec,
    model_path: Path | None = None,
    progress: Progress = silent,
) -> Features:
    """The features of every node, as the student's input layer reads them."""
    if spec.kind == "minilm":
        return dense_features(embeddings(graph, model_path, progress))
    options = hashing_options(spec)
    progress("Hashing texts", 0, graph.num_nodes)
    hashed = TextHasher(options)(graph.texts.to_pylist())
    progress("Hashing texts", graph.num_nodes, graph.num_nodes)
    return hashed_features(hashed, options.buckets)


def hashing_options(spec: EncoderSpec) -> HashingOptions:
    """The options that a spec was made from.

    Raises:
        EncoderError: this release hashes differently.
    """
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in spec.hashing.items()}
    options = HashingOptions(**values)  # type: ignore[arg-type]
    if options.digest != spec.digest:
        raise EncoderError(f"features were hashed with {spec.name}, this release has {SCHEME}")
    return options


def embeddings(
    graph: TextGraph, model_path: Path | None, progress: Progress
) -> NDArray[np.float32]:
    """MiniLM embeddings, float32 [N, 384], from the cache where they are there."""
    path = embeddings_file(graph)
    if not path.is_file():
        from training.encoders.minilm import load_minilm  # read only where the cache has none

        with step(progress, "Loading the text encoder"):
            encoder = load_minilm(model_path)
        values = encoder.encode(graph.texts.to_pylist(), progress)
        with atomic_file(path) as temporary:
            np.save(temporary, values)
    return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)


def embeddings_file(graph: TextGraph) -> Path:
    """Where the cache has a graph's embeddings, or would have them."""
    return cache_folder() / "features" / f"{WEIGHTS_DIGEST[:16]}-{graph.text_hash[:32]}.npy"
