"""Facts about the machine that figures were measured on, and a process's memory."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TypedDict

from understudy.environment import installed, processor

REPORTED_PACKAGES = ("numpy", "torch", "torch-geometric", "onnxruntime", "fastapi", "uvicorn")


class MachineFacts(TypedDict):
    """What a reader needs to judge figures by; stands in every file of results."""

    date: str  # ISO 8601, UTC
    processor: str
    cores: int | None
    load_average: float  # of the minute before, other work included
    python: str
    packages: dict[str, str]  # versions of those of REPORTED_PACKAGES that are installed


def machine_facts() -> MachineFacts:
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "packages": {name: found for name in REPORTED_PACKAGES if (found := installed(name))},
    }


def memory_bytes(process: int | str = "self") -> dict[str, int]:
    """A process's memory: VmHWM is its peak, RssAnon the part without mapped files."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    fields = (line.partition(":") for line in lines)
    return {
        name: int(value.split()[0]) * 1_024
        for name, _, value in fields
        if name in ("VmHWM", "VmRSS", "RssAnon")
    }
