"""The bundle's manifest: what is in it, how it was made, and the digest of every file.

A reader takes any minor version of its own major version and ignores fields that it does not
know; it refuses another major version.
"""

import dataclasses
import hashlib
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from understudy.bundle.errors import BundleFormatError

SCHEMA_MAJOR = 1
SCHEMA_MINOR = 1  # 1: variants, and which encoder file is served


@dataclass(frozen=True, slots=True)
class StudentInfo:
    kind: str  # sage, gcn, gat, gin or mlp
    weighting: str  # of a neighbourhood's rows: mean, sum, symmetric, mask or none
    layers: int  # message-passing layers
    hidden: int  # width of every hidden activation
    parameters: int  # trainable numbers in the served model


@dataclass(frozen=True, slots=True)
class EncoderInfo:
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


@dataclass(frozen=True, slots=True)
class GraphInfo:
    name: str
    content_hash: str  # of the graph folder that the student was trained on
    nodes: int
    edges: int  # undirected


@dataclass(frozen=True, slots=True)
class Calibration:
    temperature: float = 1.0  # logits are divided by it before the softmax
    threshold: float | None = None  # confidence from which `route: auto` keeps the student's answer
    threshold_accuracy: float = 0.0  # on validation, of nodes at or above the threshold
    threshold_coverage: float = 0.0  # on validation, their share
    risk_coverage: tuple[tuple[float, float], ...] = ()  # (coverage, error rate) on validation


@dataclass(frozen=True, slots=True)
class VariantInfo:
    """Another precision of the encoder or of the student, that passed its gate."""

    precision: str  # fp16 or int8
    cosine: float  # smallest of its embeddings or logits to those of fp32
    accuracy_change: float  # of validation accuracy against fp32, percentage points


@dataclass(frozen=True, slots=True)
class FileInfo:
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    created: str  # ISO 8601, UTC
    made_by: str  # release that wrote it
    label_names: tuple[str, ...]
    student: StudentInfo
    encoder: EncoderInfo
    graph: GraphInfo
    calibration: Calibration = field(default_factory=Calibration)
    parity: dict[str, float] = field(default_factory=dict)  # largest absolute difference a check
    metrics: dict[str, float] = field(default_factory=dict)  # of the student, see its checkpoint
    variants: dict[str, VariantInfo] = field(default_factory=dict)  # file or folder → its gate
    files: dict[str, FileInfo] = field(default_factory=dict)  # relative path → size and digest
    schema_version: str = f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}"

    @property
    def version(self) -> str:
        """Identifies the model that answers: a digest over the digests of all files."""
        lines = (f"{name} {entry.sha256}" for name, entry in sorted(self.files.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(text: str | bytes) -> Manifest:
    """Reads a manifest; bytes are UTF-8.

    Raises:
        BundleFormatError: not JSON, another major schema version, or a wrong field, by its name.
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
    manifest = convert(value, Manifest, "")
    assert isinstance(manifest, Manifest)
    return manifest


def check_schema(version: Any) -> None:
    major, _, _ = str(version).partition(".")
    if not major.isdecimal():
        raise BundleFormatError(f"manifest.json: schema_version is {version!r}, not like 1.0")
    if int(major) != SCHEMA_MAJOR:
        action = "update understudy" if int(major) > SCHEMA_MAJOR else "export the student again"
        raise BundleFormatError(
            f"the bundle has schema {version}, this release reads {SCHEMA_MAJOR}.x; {action}"
        )


def convert(value: Any, kind: Any, where: str) -> Any:
    """Converts a JSON value to `kind`: a dataclass, a tuple, a dict or a plain type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return convert_record(value, kind, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # a plain type or None
        return None if value is None else convert(value, arguments[0], where)
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) == len(value):
            return tuple(convert(v, k, where) for v, k in zip(value, kinds, strict=True))
    elif origin is dict and isinstance(value, dict):
        return {key: convert(v, arguments[1], f"{where}.{key}") for key, v in value.items()}
    elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    wanted = kind if isinstance(kind, types.GenericAlias) else kind.__name__
    raise BundleFormatError(f"manifest.json: {where or 'the whole'} must be {wanted}")


def convert_record(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, dict):
        raise BundleFormatError(f"manifest.json: {where} must be an object")
    hints = typing.get_type_hints(kind)
    arguments = {}
    for entry in dataclasses.fields(kind):
        path = f"{where}.{entry.name}".lstrip(".")
        if entry.name in value:
            arguments[entry.name] = convert(value[entry.name], hints[entry.name], path)
        elif entry.default is entry.default_factory is dataclasses.MISSING:
            raise BundleFormatError(f"manifest.json: {path} is missing")
    return kind(**arguments)
