"""`understudy collect-env`: versions and machine facts, for bug reports.

The report holds no names of users, hosts or folders, and no values of variables.
"""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.command_line.printed_json import printed_json

PROJECT = "understudy-gnn"
VARIABLES = re.compile(r"UNDERSTUDY_|OMP_NUM_THREADS$|CUDA_VISIBLE_DEVICES$")
MEMORY = Path("/proc/meminfo")
MEMORY_LIMITS = (  # of a container, by the second and the first version of control groups
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
NO_LIMIT = 1 << 60  # bytes; the first version reports at least this if there is none
GPU_QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
GPU_SECONDS = 10.0  # then the driver hangs, which the report says
REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,\s-]+)\])?")
EXTRA = re.compile(r"extra == [\"']([\w-]+)[\"']")


def collect_env(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Print versions and machine facts, for a report of a fault; no secrets, no paths."""
    facts = environment()
    if as_json:
        typer.echo(printed_json(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for inner, entry in value.items():
                typer.echo(f"  {inner}: {entry}")
        else:
            typer.echo(
                f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
            )


def environment() -> dict[str, Any]:
    """Collects the report, as JSON."""
    total, available = memory()
    return {
        "understudy": installed(PROJECT) or "run from its source folder, not installed",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "processor": processor(),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": f"{total}, {available} free{memory_limit()}",
        "gpus": gpus() or ["none found"],
        "onnxruntime_providers": providers() or ["onnxruntime is not installed"],
        "extras": extras(),
        "packages": packages(),
        "variables_set": sorted(name for name in os.environ if VARIABLES.match(name)) or ["none"],
    }


def processor() -> str:
    """The processor's name."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def installed(package: str) -> str | None:
    """The version of an installed package; None if it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def memory() -> tuple[str, str]:
    """The machine's memory in total and the part that is available, in words."""
    lines = MEMORY.read_text(encoding="utf-8").splitlines() if MEMORY.is_file() else []
    values = dict(line.split(":", 1) for line in lines)
    total, available = (
        gibibytes(int(values[name].split()[0]) * 1024) if name in values else "unknown"
        for name in ("MemTotal", "MemAvailable")
    )
    return total, available


def memory_limit() -> str:
    """The memory limit of the container, in words; empty if there is none."""
    for path in MEMORY_LIMITS:
        value = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if value.isdecimal() and int(value) < NO_LIMIT:
            return f", limited to {gibibytes(int(value))}"
    return ""


def gibibytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"


def gpus() -> list[str]:
    """Name, memory and driver of every NVIDIA GPU; or the reason why they cannot be listed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        ended = subprocess.run(
            [program, *GPU_QUERY], capture_output=True, text=True, timeout=GPU_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"nvidia-smi failed: {type(error).__name__}"]
    if ended.returncode:
        return [f"nvidia-smi failed with status {ended.returncode}"]
    return [line.strip() for line in ended.stdout.splitlines() if line.strip()]


def providers() -> list[str]:
    """The execution providers of onnxruntime; or the reason why it cannot be loaded."""
    try:
        from understudy.bundle.runtime import onnxruntime
    except ModuleNotFoundError:
        return []
    except ImportError as error:
        return [f"onnxruntime cannot be loaded: {type(error).__name__}"]
    return list(map(str, onnxruntime.get_available_providers()))


def extras() -> dict[str, str]:
    """Each extra, and which of its packages are missing."""
    return {extra: missing_of(needed) for extra, needed in by_extra().items() if extra}


def missing_of(needed: Iterable[str]) -> str:
    missing = sorted(package for package in needed if installed(package) is None)
    return f"without {', '.join(missing)}" if missing else "installed"


def packages() -> dict[str, str]:
    """The versions of the installed packages that the project requires."""
    names = sorted({package for needed in by_extra().values() for package in needed})
    return {name: found for name in names if (found := installed(name)) is not None}


def by_extra() -> dict[str, list[str]]:
    """Packages by extra, with those of the extras it includes; "" is the core."""
    try:
        lines = requires(PROJECT) or []
    except PackageNotFoundError:
        return {}
    own: dict[str, list[str]] = {}
    included: dict[str, list[str]] = {}
    for line in lines:
        name, found = REQUIREMENT.match(line), EXTRA.search(line)
        extra = found[1] if found else ""
        own.setdefault(extra, [])
        if name is None:
            continue
        if name[1] == PROJECT:
            included[extra] = [part.strip() for part in (name[2] or "").split(",")]
        else:
            own[extra].append(name[1])
    return {extra: with_included(extra, own, included) for extra in own}


def with_included(
    extra: str, own: dict[str, list[str]], included: dict[str, list[str]]
) -> list[str]:
    """The packages of an extra and of the extras that it includes."""
    inner: Sequence[str] = included.get(extra, [])
    return [*own.get(extra, []), *(p for name in inner for p in with_included(name, own, included))]
