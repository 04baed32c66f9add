"""The bundle that export writes and service reads: a folder of files with a manifest.

`sessions`, `student` and `text_encoder` need onnxruntime and are imported by name, so that the
format can be read without it.
"""

from understudy.bundle.errors import (
    BundleDamagedError,
    BundleError,
    BundleFormatError,
    BundleMemoryError,
    BundleMissingError,
    ProviderError,
)
from understudy.bundle.manifest import (
    Calibration,
    Deferral,
    EncoderInfo,
    FileInfo,
    GraphInfo,
    Manifest,
    StudentInfo,
    TeacherRecord,
    VariantInfo,
    parse_manifest,
)
from understudy.bundle.reader import Bundle, open_bundle
from understudy.bundle.writer import write_bundle

__all__ = [
    "Bundle",
    "BundleDamagedError",
    "BundleError",
    "BundleFormatError",
    "BundleMemoryError",
    "BundleMissingError",
    "Calibration",
    "Deferral",
    "EncoderInfo",
    "FileInfo",
    "GraphInfo",
    "Manifest",
    "ProviderError",
    "StudentInfo",
    "TeacherRecord",
    "VariantInfo",
    "open_bundle",
    "parse_manifest",
    "write_bundle",
]
