"""Records where and how a run was made: machine, versions, date, command line."""

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.devices import device_title, found_device
from understudy.environment import installed, processor

PROCESSOR = "cpu"
PACKAGES = ("understudy-gnn", "torch", "torch-geometric", "transformers", "numpy", "scipy")


def provenance(device: str = PROCESSOR) -> dict[str, Any]:
    """The provenance of a run that ends now; absolute paths in the command line become names.

    Args:
        device: that the run used, as named in `training.devices`; a GPU is listed in addition to
            the processor
    """
    packages = {name: version for name in PACKAGES if (version := installed(name))}
    versions = {"python": platform.python_version(), **packages}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": where(device),
        "cores": len(os.sched_getaffinity(0)),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "command": " ".join(map(without_place, sys.argv)),
    }


def where(device: str) -> str:
    used = found_device(device)
    return processor() if used.type == PROCESSOR else f"{processor()}; {device_title(used)}"


def without_place(argument: str) -> str:
    return Path(argument).name if Path(argument).is_absolute() else argument
