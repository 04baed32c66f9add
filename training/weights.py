"""Weights on disk, with a digest by which a changed file is known."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from understudy.graph.files import CHANGED, check_readable, digest_of

KEY = "weights"  # of the digest in the file's metadata


def save_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """Writes contiguous weights and their digest."""
    save_file(dict(state), path, {KEY: weights_digest(state)})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Reads weights, and checks their digest; earlier releases recorded none.

    Raises:
        OSError, SafetensorError, ValueError: the file is missing, damaged or changed.
    """
    state = load_file(check_readable(path))
    with safetensors.safe_open(path, "pt") as file:
        recorded = (file.metadata() or {}).get(KEY)
    if recorded is not None and recorded != weights_digest(state):
        raise ValueError(CHANGED)
    return state


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of contiguous weights, with their names."""
    flat = {name: tensor.reshape(-1).view(torch.uint8) for name, tensor in sorted(state.items())}
    return digest_of({name: tensor.cpu().numpy() for name, tensor in flat.items()})
