"""Devices for training students, by the name a user gives; torch is imported on demand.

auto is CUDA if available, otherwise the CPU.
"""

import re
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, runtime_checkable

from training.errors import DeviceError

if TYPE_CHECKING:
    import torch

StudentPrecision = Literal["float32", "bfloat16"]  # of a student's own products, in training
AUTO = "auto"
NAMES = re.compile(r"auto|cpu|cuda(?::\d+)?")


def check_device(name: str) -> None:
    """Refuses an invalid device name, before torch is imported.

    Raises:
        DeviceError: it is neither auto, cpu nor cuda, or cuda:NUMBER.
    """
    if not NAMES.fullmatch(name):
        raise DeviceError(f"--device {name}: give auto, cpu, cuda, or cuda:1 for the second GPU")


def found_device(name: str) -> "torch.device":
    """Returns the named device, which must be available.

    Raises:
        DeviceError: see `check_device`; or this machine, or this torch, has no such device.
    """
    check_device(name)
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = torch.device(("cuda" if there else "cpu") if name == AUTO else name)
    if device.type != "cuda":
        return device
    index = device.index or 0
    if index >= there:
        built = "" if torch.version.cuda else "; this torch is built without CUDA"
        raise DeviceError(
            f"--device {name}: torch finds {there or 'no'} CUDA devices here{built}; give cpu or "
            "auto (`understudy collect-env` lists GPUs)"
        )
    return torch.device("cuda", index)


def device_title(device: "torch.device") -> str:
    """A device's name, and the GPU's model."""
    import torch

    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def free_on(device: "torch.device") -> float | None:
    """Free bytes on a device with its own memory; None for the CPU."""
    import torch

    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


@runtime_checkable
class Movable(Protocol):
    """A tensor, or an object that contains tensors."""

    def to(self, device: "torch.device") -> Any: ...


Value = TypeVar("Value", bound=Any)


def moved(value: Value, device: "torch.device") -> Value:
    """Moves all movable fields of a dataclass to a device."""
    entries = {field.name: getattr(value, field.name) for field in fields(value)}
    there = {name: own.to(device) for name, own in entries.items() if isinstance(own, Movable)}
    return replace(value, **there)
