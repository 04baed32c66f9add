"""A training run on disk after an epoch, from which a killed worker or command resumes.

run.safetensors holds the student's current weights, its best ones if these are older, the
objectives' own parameters and the optimiser's state; run.json holds the epochs. The generators of a
worker are in worker-RANK.*. In addition, epochs.json tells observers how many epochs are done.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.config import Epoch
from training.loop import Run
from training.optimizers import optimizer_tensors, restore_optimizer
from understudy.graph.files import write_json

NOW, BEST, OWN = "now.", "best.", "own."
EPOCHS_FILE = "epochs.json"


def write_run(folder: Path, run: Run) -> None:
    """Writes the state that all workers share; only the first worker calls this."""
    tensors = named(NOW, run.student.state_dict()) | named(OWN, run.own.state_dict())
    tensors |= optimizer_tensors(run.optimizer)
    if run.best != len(run.epochs) - 1:
        tensors |= named(BEST, run.best_state)
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(plain, folder / "run.safetensors")
    epochs = [asdict(epoch) for epoch in run.epochs]
    write_json(folder / "run.json", {"epochs": epochs, "seconds": run.seconds})


def read_run(folder: Path, run: Run) -> None:
    """Restores a written run into a run before its first epoch."""
    tensors = load_file(folder / "run.safetensors")
    run.student.load_state_dict(of(NOW, tensors))
    run.own.load_state_dict(of(OWN, tensors))
    run.best_state = best_of(tensors)
    restore_optimizer(run.optimizer, tensors)
    run.epochs, run.seconds = read_history(folder)


def read_history(folder: Path) -> tuple[list[Epoch], float]:
    """The epochs, and their duration in seconds."""
    value = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return [Epoch(**epoch) for epoch in value["epochs"]], value["seconds"]


def read_best(folder: Path) -> dict[str, Tensor]:
    """The student's best weights."""
    return best_of(load_file(folder / "run.safetensors"))


def best_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The best weights; the current ones if no better ones were kept."""
    return of(BEST, tensors) or of(NOW, tensors)


def tell_epochs(folder: Path, count: int) -> None:
    """Writes the number of finished epochs into a run's folder."""
    write_json(folder / EPOCHS_FILE, count)


def epochs_done(folder: Path) -> int:
    """The number that `tell_epochs` wrote last; 0 if there is none."""
    path = folder / EPOCHS_FILE
    return int(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else 0


def write_generators(folder: Path, run: Run, rank: int) -> None:
    states = {"order": run.order, "draws": run.draws}
    path = folder / f"worker-{rank}.json"
    write_json(path, {name: own.bit_generator.state for name, own in states.items()})
    tensors = {"torch": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        tensors["cuda"] = torch.cuda.get_rng_state()
    save_file(tensors, path.with_suffix(".safetensors"))


def read_generators(folder: Path, run: Run, rank: int) -> None:
    path = folder / f"worker-{rank}.json"
    states: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name, generator in (("order", run.order), ("draws", run.draws)):
        generator.bit_generator.state = states[name]
    tensors = load_file(path.with_suffix(".safetensors"))
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(tensors["cuda"])


def named(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def of(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    found = tensors.items()
    return {name.removeprefix(prefix): t for name, t in found if name.startswith(prefix)}
