"""The bundle's manifest: what is in it, how it was made, and the digest of every file.

A reader takes any minor version of its own major version and ignores fields that it does not
know; it refuses another major version.
"""

import hashlib
import json
import math
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from understudy.bundle.errors import BundleFormatError
from understudy.folders.names import character_problem

SCHEMA_MAJOR = 1
# 1: variants, and which encoder file is served; 2: the teacher and deferral; 3: the graph's lineage
SCHEMA_MINOR = 3


class StudentInfo(Struct, frozen=True):
    kind: str  # sage, gcn, gat, gin or mlp
    weighting: str  # of a neighbourhood's rows: mean, sum, symmetric, mask or none
    layers: int  # message-passing layers
    hidden: int  # width of every hidden activation
    parameters: int  # trainable numbers in the served model


class EncoderInfo(Struct, frozen=True):
    kind: str  # minilm or hashing
    name: str  # a model's name, or the hashing scheme with its version
    digest: str  # SHA-256 of what defines the encoder: weights, or the hashing options
    dimension: int  # width of an embedding, or number of hash buckets
    max_tokens: int = 0  # texts are cut after this many tokens; 0 for hashing
    word_ngrams: tuple[int, int] = (1, 2)  # hashing only
    character_ngrams: tuple[int, int] = (3, 5)  # hashing only
    max_characters: int = 0  # hashing only: texts are cut after this many characters
    file: str = "encoder/encoder.onnx"  # minilm only: what made the stored activations, and serves
    precision: str = "fp32"  # of that file: fp32 or int8


class GraphInfo(Struct, frozen=True):
    name: str
    content_hash: str  # of the graph folder that the student was trained on
    nodes: Annotated[int, Meta(ge=0)]
    edges: Annotated[int, Meta(ge=0)]  # undirected
    lineage: str = ""  # content hash of the graph as it was imported; before 1.3: content_hash
    position: Annotated[int, Meta(ge=0)] = 0  # of the graph in the log of its changes
    texts: tuple[str, ...] = ()  # the columns that made its texts; empty where that is not known
    neighbors: str = ""  # the column that listed its edges; empty where that is not known


class TeacherRecord(Struct, frozen=True):
    """How the teacher was asked that was measured, and how right it was; it is served so, too."""

    kind: str  # encoder, causal, endpoint or a registered one
    model: str  # a path, a hub id, or the name that an endpoint knows
    model_hash: str  # SHA-256 of the untuned weights; empty for an endpoint
    weights: str  # SHA-256 of the tuned ones; empty where nothing was tuned
    prompt_hash: str  # of all that a prompt depends on, besides the graph
    wording: int  # of the prompts' words
    hops: int  # that a question shows
    prompts: dict[str, Any]  # how a question is written: tokens, nested, show_labels and so on
    max_tokens: int = 0  # after which the model cuts a question; 0: not known
    accuracy: float = 0.0  # on the validation nodes that it was asked about
    nodes: int = 0  # how many these are


class Deferral(Struct, frozen=True):
    """The rule of `route: auto`, and what it brings on validation nodes that both answered.

    Where there is no rule, the figures are those of the best that was tried.
    """

    summary: str  # all of it in one line
    signal: str = "confidence"  # or agreement: the neighbours' share with the same predicted label
    threshold: float | None = None  # of the signal, below which the teacher is asked; null: never
    nodes: int = 0  # validation nodes that both answered
    student: float = 0.0  # accuracy on them, alone
    teacher: float = 0.0  # accuracy on them, alone, as it is served
    system: float = 0.0  # accuracy on them under the rule
    deferred: float = 0.0  # share of them
    wins: int = 0  # deferred ones on which the teacher alone is right
    losses: int = 0  # and the student alone
    p_value: float = 1.0  # of an exact one-sided sign test of these
    tests: int = 1  # that share the level
    level: float = 0.05  # chance that a rule passes which is worse than the student alone
    kept_accuracy: float = 0.0  # of the student's own answers under the rule
    kept_bound: float = 0.0  # which it exceeds at that level


class Calibration(Struct, frozen=True):
    temperature: float = 1.0  # logits are divided by it before the softmax
    threshold: float | None = None  # confidence from which the student's own answers are as wanted
    threshold_accuracy: float = 0.0  # on validation, of nodes at or above the threshold
    threshold_coverage: float = 0.0  # on validation, their share
    risk_coverage: tuple[tuple[float, float], ...] = ()  # (coverage, error rate) on validation
    threshold_bound: float = 0.0  # which the true accuracy exceeds with a chance of 0.95
    wanted: float = 0.95  # accuracy of the student's own answers
    deferral: Deferral | None = None  # null before schema 1.2, where nothing was measured


class VariantInfo(Struct, frozen=True):
    """Another precision of the encoder or of the student, that passed its gate."""

    precision: str  # fp16 or int8
    cosine: float  # smallest of its embeddings or logits to those of fp32
    accuracy_change: float  # of validation accuracy against fp32, percentage points


class FileInfo(Struct, frozen=True):
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True):
    name: str
    created: str  # ISO 8601, UTC
    made_by: str  # release that wrote it
    label_names: tuple[str, ...]
    student: StudentInfo
    encoder: EncoderInfo
    graph: GraphInfo
    calibration: Calibration = field(default_factory=Calibration)
    teacher: TeacherRecord | None = None  # null where there was none, and before schema 1.2
    parity: dict[str, float] = field(default_factory=dict)  # largest absolute difference a check
    metrics: dict[str, float] = field(default_factory=dict)  # of the student, see its checkpoint
    variants: dict[str, VariantInfo] = field(default_factory=dict)  # file or folder → its gate
    files: dict[str, FileInfo] = field(default_factory=dict)  # relative path → size and digest
    activations_of: str = ""  # of a snapshot: version of the bundle that its activations are of
    schema_version: str = f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}"

    @property
    def version(self) -> str:
        """Identifies the model that answers: a digest over the digests of all files."""
        lines = (f"{name} {entry.sha256}" for name, entry in sorted(self.files.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(msgspec.to_builtins(self), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(text: str | bytes) -> Manifest:
    """Reads a manifest; bytes are UTF-8.

    Raises:
        BundleFormatError: not JSON, another major schema version, a wrong field, by its name, a
            name that would end a line of a log, a metric or a table, or a temperature that no
            score can be divided by.
    """
    try:
        value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"manifest.json is not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(f"manifest.json is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleFormatError("manifest.json must hold an object")
    check_schema(value.get("schema_version"))
    try:
        # Not `msgspec.json`: a metric may be NaN, which `json` writes and it does not read.
        manifest = msgspec.convert(value, Manifest)
    except msgspec.ValidationError as error:
        raise BundleFormatError(f"manifest.json: {error}") from error
    temperature = manifest.calibration.temperature
    if not (math.isfinite(temperature) and temperature > 0):
        raise BundleFormatError(
            f"manifest.json: calibration.temperature must be a number above 0, not {temperature}"
        )
    graph = manifest.graph
    for what, name in (("name", manifest.name), ("graph.name", graph.name)):
        if problem := character_problem(name):
            raise BundleFormatError(f"manifest.json: {what} {problem}")
    if graph.lineage:
        return manifest
    return replace(manifest, graph=replace(graph, lineage=graph.content_hash))


def check_schema(version: Any) -> None:
    major, _, _ = str(version).partition(".")
    if not major.isdecimal():
        raise BundleFormatError(f"manifest.json: schema_version is {version!r}, not like 1.0")
    if int(major) != SCHEMA_MAJOR:
        action = "update understudy" if int(major) > SCHEMA_MAJOR else "export the student again"
        raise BundleFormatError(
            f"the bundle has schema {version}, this release reads {SCHEMA_MAJOR}.x; {action}"
        )
