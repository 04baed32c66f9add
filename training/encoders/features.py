"""Node features for the student's input layer, computed from texts and cached.

They are dense embeddings of a transformer, or hashed n-grams.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from training.config import ENCODER_KINDS, EncoderKind
from training.devices import AUTO, found_device
from training.encoders.sparse_product import Rows, sparse_rows
from training.encoders.word_texts import WordReader, WordTexts, read_words, write_words
from training.errors import EncoderError
from training.memory import GATHERED, KEPT_FROM
from understudy.folders.errors import cache_errors
from understudy.graph import TextGraph
from understudy.graph.errors import SourceError
from understudy.graph.files import atomic_file, cache_folder
from understudy.graph.hashing import SCHEME, HashedTexts, HashingOptions
from understudy.progress import Progress, silent, step

if TYPE_CHECKING:
    from training.encoders.minilm import MiniLM

log = logging.getLogger(__name__)

MODEL_NAME = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHTS_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_WIDTH = 384  # of an embedding
MAX_TOKENS = 256  # the length that the model was trained for
TEXTS_A_STEP = 16_384  # number of texts that are Python strings at once
PROCESSOR = torch.device("cpu")
TEXTS_ENCODED = 131_072  # tokenised at once; those of similar length are encoded together


@dataclass(frozen=True, slots=True)
class DeviceRows:
    """Hashed texts as a matrix on an accelerator, and its transpose; both sparse CSR."""

    matrix: Tensor  # [N, buckets]
    transposed: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        rows, buckets = self.matrix.shape
        return rows, buckets

    def times(self, table: Tensor) -> Tensor:
        return multiplied(self.matrix, table)

    def transposed_times(self, gradient: Tensor) -> Tensor:
        return multiplied(self.transposed, gradient)


@dataclass(frozen=True)
class HashedFeatures:
    """Hashed texts, and their matrix form for training.

    Attributes:
        step: number of texts whose n-grams are gathered at once if no whole matrix is kept
        device: of the matrix; the texts stay on the CPU
    """

    texts: HashedTexts | WordTexts
    buckets: int
    step: int = TEXTS_A_STEP
    device: torch.device = PROCESSOR

    def to(self, device: torch.device) -> "HashedFeatures":
        """The same for another device; self if it is that device, keeping cached values."""
        return self if device == self.device else replace(self, device=device)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def rows(self) -> Rows:
        """The matrix of all texts; cached on first use, and much larger than the texts."""
        texts = self.texts
        if not isinstance(texts, HashedTexts):
            texts = texts.rows(np.arange(len(self)))
        matrix = self.as_matrix(texts)
        if self.device == PROCESSOR:
            return sparse_rows(matrix)
        whole, transposed = csr_tensor(matrix), csr_tensor(matrix.T.tocsr())
        return DeviceRows(whole.to(self.device), transposed.to(self.device))

    @property
    def in_steps(self) -> bool:
        """Whether to read them in steps: there are many, and no matrix was made."""
        return len(self) > self.step and "rows" not in self.__dict__

    @property
    def met(self) -> Tensor:
        """The buckets that occur in any text; int64, sorted."""
        marks = np.zeros(self.buckets, np.bool_)
        marks[self.texts.met()] = True
        return torch.from_numpy(np.flatnonzero(marks))

    @property
    def entries(self) -> int:
        """The total number of distinct n-grams per text."""
        return int(self.texts.lengths().sum())

    def gathered(self) -> "HashedFeatures":
        """The same with all n-grams gathered, for repeated reads of some texts, unless they are
        more than GATHERED.
        """
        if isinstance(self.texts, HashedTexts) or self.entries > GATHERED:
            return self
        return replace(self, texts=self.texts.rows(np.arange(len(self))))

    def matrix(self, nodes: NDArray[np.int64]) -> sparse.csr_array:
        """Some texts as the rows of a matrix, float32 [B, buckets]."""
        return self.as_matrix(self.texts.rows(nodes))

    def as_matrix(self, texts: HashedTexts) -> sparse.csr_array:
        """Texts as the rows of a matrix; nothing large is copied."""
        shape = len(texts), self.buckets
        # 32 bits if they suffice; otherwise scipy would convert everything to 64.
        index = np.int32 if len(texts.buckets) < 2**31 else np.int64
        indptr = texts.indptr.astype(index)
        return sparse.csr_array((texts.weights, texts.buckets, indptr), shape)


Features = Tensor | HashedFeatures  # dense: float32 [N, dimension]


def dense_features(embeddings: NDArray[np.float32]) -> Tensor:
    """The rows as a tensor; a mapped file stays mapped."""
    return torch.from_numpy(np.ascontiguousarray(embeddings))


def take_rows(features: Features, nodes: Tensor) -> Features:
    """The features of some nodes (int64 [n], on the CPU), in their order."""
    if isinstance(features, HashedFeatures):
        return replace(features, texts=features.texts.rows(nodes.numpy()))
    return features[nodes]


def csr_tensor(matrix: sparse.csr_array) -> Tensor:
    """A scipy CSR matrix as a torch one; they share memory where type and flags allow it."""
    index = np.int32 if max(matrix.nnz, *matrix.shape) < 2**31 else np.int64
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(np.require(matrix.indptr, index, "W")),
            torch.from_numpy(np.require(matrix.indices, index, "W")),
            torch.from_numpy(np.require(matrix.data, np.float32, "W")),
            size=matrix.shape,
            check_invariants=False,
        )


def scipy_matrix(matrix: Tensor) -> sparse.csr_array:
    """A torch CSR matrix as a scipy one."""
    parts = matrix.values(), matrix.col_indices(), matrix.crow_indices()
    rows, columns = matrix.shape
    return sparse.csr_array(tuple(part.cpu().numpy() for part in parts), (rows, columns))


def multiplied(matrix: Tensor, dense: Tensor) -> Tensor:
    """The product of a sparse CSR matrix [B, N] and a dense one [N, d], in their own precision."""
    with torch.autocast(dense.device.type, enabled=False):
        if dense.device.type != "cpu":
            return matrix @ dense
        summed: Tensor = torch.sparse.mm(matrix, dense, reduce="sum")  # a third faster than `@`
        return summed


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Identifies the encoder that made the features; part of every checkpoint."""

    kind: EncoderKind
    name: str
    digest: str  # SHA-256 of the weights, or of the hashing options
    dimension: int  # width of an embedding, or number of buckets
    max_tokens: int = 0  # MiniLM only
    hashing: dict[str, object] = field(default_factory=dict)  # the hashing options


def minilm_spec() -> EncoderSpec:
    return EncoderSpec("minilm", MODEL_NAME, WEIGHTS_DIGEST, MINILM_WIDTH, MAX_TOKENS)


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
    """The features of every node for the student's input layer, cached: embeddings always, hashed
    texts if hashing takes a while.
    """
    if spec.kind == "minilm":
        return dense_features(embeddings(graph, model_path, progress))
    if graph.texts.nbytes < KEPT_FROM:
        return hashed_features(graph.texts, spec, progress)
    return cached_hashed_features(graph, spec, progress)


def cached_hashed_features(
    graph: TextGraph, spec: EncoderSpec, progress: Progress
) -> HashedFeatures:
    """`hashed_features` of a graph, through the cache.

    If the cache cannot be written, a warning is logged and the texts are hashed again next time.

    Raises:
        EncoderError: see `hashing_options`.
    """
    options = hashing_options(spec)
    try:
        path = cached_file(options.digest, graph, ".words")
    except SourceError as error:
        log.warning("hashed texts cannot be cached for the next command: %s", error)
        return hashed_features(graph.texts, spec, progress)
    words = kept_words(path, graph.num_nodes, options.buckets, progress)
    if words is not None:
        return HashedFeatures(words, options.buckets)
    features = hashed_features(graph.texts, spec, progress)
    try:
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            write_words(stream, cast(WordTexts, features.texts))
    except OSError as error:
        log.warning("hashed texts cannot be cached for the next command: %s", error)
    return features


def kept_words(path: Path, count: int, width: int, progress: Progress) -> WordTexts | None:
    """The cached words; None as for `kept_embeddings`."""
    if not path.is_file():
        return None
    try:
        with step(progress, "Reading hashed texts from the cache"), path.open("rb") as stream:
            return read_words(stream, count, width)
    except (OSError, ValueError, EOFError) as error:
        log.warning("%s is damaged (%s): texts are hashed again", path, error)
        return None


def hashed_features(
    texts: pa.LargeStringArray, spec: EncoderSpec, progress: Progress = silent
) -> HashedFeatures:
    """Hashes any texts.

    Raises:
        EncoderError: see `hashing_options`.
    """
    options = hashing_options(spec)
    progress("Hashing texts", 0, len(texts))
    reader = WordReader(options)
    for start in range(0, len(texts), TEXTS_A_STEP):
        reader.read(texts[start : start + TEXTS_A_STEP].to_pylist())
        progress("Hashing texts", min(start + TEXTS_A_STEP, len(texts)), len(texts))
    return HashedFeatures(reader.texts(), options.buckets)


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
    """MiniLM embeddings, float32 [N, 384], mapped from the cache, which is filled first.

    Raises:
        EncoderError: the model is missing.
        OutputUnwritableError: the cache cannot be written.
    """
    path = embeddings_file(graph)
    values = kept_embeddings(path, graph.num_nodes)
    if values is None:
        from training.encoders.minilm import load_minilm  # read only where the cache has none

        with step(progress, "Loading the text encoder"):
            encoder = load_minilm(model_path)
            encoder.module.to(found_device(AUTO))
        with (
            cache_errors(path),
            atomic_file(path) as temporary,
            temporary.open("wb") as stream,
        ):
            write_rows(stream, encoded(graph, encoder, progress), graph.num_nodes, MINILM_WIDTH)
        values = mapped(path)
    return values


def kept_embeddings(path: Path, count: int) -> NDArray[np.float32] | None:
    """The cached embeddings; None if there are none, or a power failure damaged them."""
    if not path.is_file():
        return None
    try:
        values = mapped(path)
        if values.shape == (count, MINILM_WIDTH):
            return values
        problem = f"it holds {values.shape}"
    except (ValueError, EOFError) as error:
        problem = str(error)
    log.warning("%s is damaged (%s): texts are encoded again", path, problem)
    return None


def mapped(path: Path) -> NDArray[np.float32]:
    """Maps the rows copy-on-write, because torch requires writable memory."""
    values: NDArray[np.float32] = np.load(path, mmap_mode="c", allow_pickle=False)
    return values


def encoded(
    graph: TextGraph, encoder: "MiniLM", progress: Progress
) -> Iterator[NDArray[np.float32]]:
    """Yields the embeddings of all texts in order, in parts."""
    for start in range(0, graph.num_nodes, TEXTS_ENCODED):
        texts = graph.texts[start : start + TEXTS_ENCODED].to_pylist()
        yield encoder.encode(texts, further(progress, start, graph.num_nodes))


def write_rows(
    stream: BinaryIO, parts: Iterable[NDArray[np.float32]], count: int, width: int
) -> None:
    """Writes parts of an array, float32 [count, width], as one .npy file."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(stream, header)
    for part in parts:
        stream.write(np.ascontiguousarray(part).data)


def further(progress: Progress, start: int, count: int) -> Progress:
    """Reports the progress of a part as progress of the whole."""
    return lambda stage, done, _: progress(stage, start + done, count)


def embeddings_file(graph: TextGraph) -> Path:
    """The cache file for a graph's embeddings."""
    return cached_file(WEIGHTS_DIGEST, graph, ".npy")


def cached_file(digest: str, graph: TextGraph, ending: str) -> Path:
    """The cache file for the output of an encoder, by its digest, on a graph's texts."""
    return cache_folder() / "features" / f"{digest[:16]}-{graph.text_hash[:32]}{ending}"
