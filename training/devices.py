"""Where students are trained, as a person names it; torch is imported when a device is looked for.

auto is CUDA where there is one, and else the processor.
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
    """Refuses what names no device, before torch is imported.

    Raises:
        DeviceError: it is neither auto, cpu nor cuda, or cuda:NUMBER.
    """
    if not NAMES.fullmatch(name):
        raise DeviceError(f"--device {name}: give auto, cpu, cuda, or cuda:1 for the second GPU")


def found_device(name: str) -> "torch.device":
    """The device of that name, which is there.

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
    """Its name, and what it is."""
    import torch

    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def free_on(device: "torch.device") -> float | None:
    """Bytes that are free on a device with memory of its own; None of the processor."""
    import torch

    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else None


@runtime_checkable
class Movable(Protocol):
    """A tensor, or what holds some."""

    def to(self, device: "torch.device") -> Any: ...


Value = TypeVar("Value", bound=Any)


def moved(value: Value, device: "torch.device") -> Value:
    """A dataclass with all of its movable fields on a device."""
    entries = {field.name: getattr(value, field.name) for field in fields(value)}
    there = {name: own.to(device) for name, own in entries.items() if isinstance(own, Movable)}
    return replace(value, **there)
