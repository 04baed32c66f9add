"""The bundle's manifest: its contents, how they were made, and the digest of every file.

A reader accepts any minor version of its own major version and ignores unknown fields; it refuses
other major versions.
"""

import hashlib
import json
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field
from msgspec.structs import replace

from understudy.bundle.errors import BundleFormatError
from understudy.folders.names import character_problem

SCHEMA_MAJOR = 1
# 1: variants and the served encoder file; 2: the teacher and deferral; 3: the graph's lineage
SCHEMA_MINOR = 3
TEMPERATURES = (1e-6, 1e6)  # logits divided by others are no finite 32-bit numbers, or all equal
MASK = "mask"  # a weighting that is GAT's alone
# Kind of student → its weighting of neighbours; other kinds are registered with another than MASK.
WEIGHTINGS = {"sage": "mean", "gcn": "symmetric", "gat": MASK, "gin": "sum", "mlp": "none"}

Size = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]
Position = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # JSON's readers know no larger ones exactly


class StudentInfo(Struct, frozen=True):
    kind: Annotated[str, Meta(min_length=1)]  # one of WEIGHTINGS, or a registered one
    weighting: str  # of a neighbourhood's rows: mean, sum, symmetric, mask or none
    layers: Size  # message-passing layers
    hidden: Size  # width of every hidden activation
    parameters: Count  # trainable numbers in the served model


class EncoderInfo(Struct, frozen=True):
    kind: str  # minilm or hashing
    name: str  # a model's name, or the hashing scheme with its version
    digest: str  # SHA-256 of what defines the encoder: its weights or the hashing options
    dimension: Size  # width of an embedding, or number of hash buckets
    max_tokens: Count = 0  # texts are cut after this many tokens; 0 for hashing
    word_ngrams: tuple[int, int] = (1, 2)  # hashing only
    character_ngrams: tuple[int, int] = (3, 5)  # hashing only
    max_characters: Count = 0  # hashing only: texts are cut after this many characters
    file: str = "encoder/encoder.onnx"  # minilm only: made the stored activations and is served
    precision: str = "fp32"  # of that file: fp32 or int8


class GraphInfo(Struct, frozen=True):
    name: str
    content_hash: str  # of the graph folder that the student was trained on
    nodes: Count
    edges: Count  # undirected
    lineage: str = ""  # content hash of the graph as it was imported; before 1.3: content_hash
    position: Position = 0  # of the graph in the log of its changes
    texts: tuple[str, ...] = ()  # source columns of its texts; empty if unknown
    neighbors: str = ""  # source column of its edges; empty if unknown


class TeacherRecord(Struct, frozen=True):
    """The measured teacher: how it was asked and its accuracy; the service asks it the same way."""

    kind: str  # encoder, causal, endpoint or a registered one
    model: str  # a path, a hub id, or the name that an endpoint knows
    model_hash: str  # SHA-256 of the untuned weights; empty for an endpoint
    weights: str  # SHA-256 of the tuned weights; empty if nothing was tuned
    prompt_hash: str  # of everything a prompt depends on, except the graph
    wording: int  # version of the prompt's wording
    hops: int  # neighbourhood depth that a prompt shows
    prompts: dict[str, Any]  # prompt options: tokens, nested, show_labels and so on
    max_tokens: int = 0  # the model truncates a prompt after this many tokens; 0: unknown
    accuracy: float = 0.0  # on the validation nodes that it was asked about
    nodes: int = 0  # number of these nodes


class Deferral(Struct, frozen=True):
    """The rule of `route: auto`, with its effect on validation nodes that both models answered.

    Without a rule, the figures are those of the best rule that was tried.
    """

    summary: str  # the whole rule and its effect in one line
    signal: str = "confidence"  # or agreement: share of neighbours with the same predicted label
    threshold: float | None = None  # below this signal the teacher is asked; null: never
    nodes: int = 0  # validation nodes that both answered
    student: float = 0.0  # the student's accuracy on them
    teacher: float = 0.0  # the served teacher's accuracy on them
    system: float = 0.0  # accuracy on them under the rule
    deferred: float = 0.0  # share of them that goes to the teacher
    wins: int = 0  # deferred nodes that only the teacher classifies correctly
    losses: int = 0  # deferred nodes that only the student classifies correctly
    p_value: float = 1.0  # exact one-sided sign test of wins against losses
    tests: int = 1  # number of tests that share the level
    level: float = 0.05  # chance of accepting a rule that is worse than the student alone
    kept_accuracy: float = 0.0  # of the student's own answers under the rule
    kept_bound: float = 0.0  # lower bound of that accuracy, at that level


class Calibration(Struct, frozen=True):
    temperature: float = 1.0  # logits are divided by it before the softmax
    threshold: float | None = None  # lowest confidence at which answers reach the wanted accuracy
    threshold_accuracy: float = 0.0  # validation accuracy of nodes at or above the threshold
    threshold_coverage: float = 0.0  # share of validation nodes at or above the threshold
    risk_coverage: tuple[tuple[float, float], ...] = ()  # (coverage, error rate) on validation
    threshold_bound: float = 0.0  # lower bound of the true accuracy, with probability 0.95
    wanted: float = 0.95  # wanted accuracy of the student's own answers
    deferral: Deferral | None = None  # null before schema 1.2, which did not measure it


class VariantInfo(Struct, frozen=True):
    """Another precision of the encoder or the student that passed its accuracy check."""

    precision: str  # fp16 or int8
    cosine: float  # smallest cosine between its embeddings or logits and those of fp32
    accuracy_change: float  # validation accuracy minus that of fp32, percentage points


class FileInfo(Struct, frozen=True):
    bytes: Count
    sha256: str


class Manifest(Struct, frozen=True):
    name: str
    created: str  # ISO 8601, UTC
    made_by: str  # the release of understudy that wrote it
    label_names: tuple[str, ...]
    student: StudentInfo
    encoder: EncoderInfo
    graph: GraphInfo
    calibration: Calibration = field(default_factory=Calibration)
    teacher: TeacherRecord | None = None  # null without a teacher, and before schema 1.2
    parity: dict[str, float] = field(default_factory=dict)  # check → largest absolute difference
    metrics: dict[str, float] = field(default_factory=dict)  # of the student's checkpoint
    variants: dict[str, VariantInfo] = field(default_factory=dict)  # file or folder → its check
    files: dict[str, FileInfo] = field(default_factory=dict)  # relative path → size and digest
    activations_of: str = ""  # snapshots only: version of the bundle that computed the activations
    schema_version: str = f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}"

    @property
    def version(self) -> str:
        """The model version: a digest over the digests of all files, 16 hexadecimal digits."""
        lines = (f"{name} {entry.sha256}" for name, entry in sorted(self.files.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(msgspec.to_builtins(self), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(text: str | bytes) -> Manifest:
    """Reads a manifest; bytes are decoded as UTF-8.

    Raises:
        BundleFormatError: it is not JSON, has another major schema version or an invalid field
            (which the message names), a name contains characters that would break a line of a log,
            a metric or a table, the temperature is not one of TEMPERATURES, or the student's kind
            has another weighting.
    """
    try:
        value = json.loads(text if isinstance(text, str) else text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BundleFormatError(f"manifest.json is not UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BundleFormatError(
            f"manifest.json is not JSON: {error}; copy the bundle again, or export the student "
            "again"
        ) from error
    if not isinstance(value, dict):
        raise BundleFormatError("manifest.json must hold a JSON object")
    check_schema(value.get("schema_version"))
    try:
        # Not `msgspec.json`, which rejects NaN: a metric may be NaN, and `json` writes it so.
        manifest = msgspec.convert(value, Manifest)
    except msgspec.ValidationError as error:
        raise BundleFormatError(f"manifest.json: {error}") from error
    temperature = manifest.calibration.temperature
    low, high = TEMPERATURES
    if not low <= temperature <= high:
        raise BundleFormatError(
            "manifest.json: calibration.temperature must be a number above 0, from "
            f"{low:g} to {high:g}, not {temperature}"
        )
    graph, student = manifest.graph, manifest.student
    names = ("name", manifest.name), ("graph.name", graph.name), ("student.kind", student.kind)
    for what, name in names:
        if problem := character_problem(name):
            raise BundleFormatError(f"manifest.json: {what} {problem}")
    check_weighting(student)
    if graph.lineage:
        return manifest
    return replace(manifest, graph=replace(graph, lineage=graph.content_hash))


def check_weighting(student: StudentInfo) -> None:
    """Checks that a student's kind has its weighting.

    Raises:
        BundleFormatError: it has another one.
    """
    known = WEIGHTINGS.get(student.kind, student.weighting)
    if known != student.weighting and student.weighting in WEIGHTINGS.values():
        raise BundleFormatError(
            f"manifest.json: student.kind is {student.kind!r}, whose weighting is "
            f"{known!r}, but student.weighting is {student.weighting!r}"
        )
    if student.weighting == MASK and student.kind not in WEIGHTINGS:
        raise BundleFormatError(
            f"manifest.json: student.weighting is {MASK!r}, which is GAT's alone, but student.kind "
            f"is {student.kind!r}"
        )


def check_schema(version: Any) -> None:
    major, _, _ = str(version).partition(".")
    if not major.isdecimal():
        raise BundleFormatError(f"manifest.json: schema_version is {version!r}, not like 1.0")
    if int(major) != SCHEMA_MAJOR:
        action = "update understudy" if int(major) > SCHEMA_MAJOR else "export the student again"
        raise BundleFormatError(
            f"the bundle has schema {version}, but this release reads only {SCHEMA_MAJOR}.x; "
            f"{action}"
        )
