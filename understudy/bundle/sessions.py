"""onnxruntime sessions with explicit settings of threads, spinning and provider."""

import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from understudy.bundle.errors import BundleDamagedError, BundleMemoryError, ProviderError
from understudy.bundle.runtime import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
# On a CPU, onnxruntime's fusion of a sum and a layer norm is slower than the two operators.
UNDONE = ["SkipLayerNormFusion"]

# In onnxruntime's errors, which have no class of their own for it.
NO_MEMORY = ("bad_alloc", "ailed to allocate memory", "than requested bytes", "out of memory")
MOST_THREADS = 1_024  # of one session
CPU_FACTS = Path("/proc/cpuinfo")
VNNI = {"avx512_vnni", "avx_vnni"}


class Network:
    """One ONNX file, ready to run; safe to share between threads.

    Feeds may hold more arrays than the file declares; the others are ignored, so that one caller
    serves every architecture.
    """

    def __init__(self, path: Path, threads: int = 1, provider: str = "cpu") -> None:
        """Opens the file.

        Args:
            threads: within one operator, 1 to 1,024; operators run one after the other.
            provider: cpu, cuda or tensorrt.

        Raises:
            ProviderError: the provider is unknown, not installed, or did not load; or the number of
                threads is out of range.
            BundleMemoryError: the memory is too small.
            BundleDamagedError: onnxruntime does not accept the file.
        """
        self.session = open_session(path, threads, provider)
        self.inputs = tuple(entry.name for entry in self.session.get_inputs())
        self.outputs: Sequence[str] = [entry.name for entry in self.session.get_outputs()]

    def __call__(self, feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        """Runs the network on the feeds that it declares; returns its first output."""
        run_feeds = {name: feeds[name] for name in self.inputs}
        result: NDArray[np.float32] = self.session.run(self.outputs, run_feeds)[0]
        return result


def open_session(path: Path, threads: int, provider: str) -> onnxruntime.InferenceSession:
    """Opens a session on exactly the requested provider; see `Network` for the errors."""
    wanted = provider_name(provider)
    if provider != "cpu":
        onnxruntime.preload_dlls()  # CUDA's libraries from their packages, without torch
    if not 1 <= threads <= MOST_THREADS:  # each takes memory, even without a core for it
        raise ProviderError(f"threads must be from 1 to {MOST_THREADS:,}, not {threads:,}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A spinning pool burns a core while it waits for the next request.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if sums_saturate(platform.machine(), CPU_FACTS):  # otherwise this only costs time
        options.add_session_config_entry("session.x64quantprecision", "1")
    providers = [wanted]
    if provider == "tensorrt":
        providers.append(PROVIDERS["cuda"])  # for operators that TensorRT does not support
    try:
        session = onnxruntime.InferenceSession(
            str(path),
            options,
            providers=providers,
            disabled_optimizers=UNDONE if provider == "cpu" else [],
        )
    except Exception as error:
        if any(words in str(error) for words in NO_MEMORY):
            raise BundleMemoryError(
                f"the memory is too small to open {path}: leave this process more of it (ulimit "
                f"-v, a container's limit), or open a smaller bundle (onnxruntime says: {error})"
            ) from error
        raise BundleDamagedError(f"onnxruntime does not accept {path}: {error}") from error
    loaded = session.get_providers()
    if loaded[0] != wanted:
        raise ProviderError(
            f"the provider {wanted} was requested but did not load; onnxruntime loaded {loaded}"
        )
    return session


def provider_name(provider: str) -> str:
    if provider not in PROVIDERS:
        raise ProviderError(f"unknown provider {provider!r}; choose from {', '.join(PROVIDERS)}")
    wanted, available = PROVIDERS[provider], onnxruntime.get_available_providers()
    if wanted not in available:
        raise ProviderError(
            f"the provider {wanted} was requested, but the installed onnxruntime has only "
            f"{', '.join(available)}: pip uninstall onnxruntime, and pip install "
            "'understudy-gnn[gpu]'"
        )
    return wanted


@cache
def sums_saturate(machine: str, facts: Path) -> bool:
    """Whether sums of 8-bit products may saturate in onnxruntime: on x64 without VNNI, or unknown.

    Args:
        machine: the processor's architecture.
        facts: path of Linux's description of the processor.
    """
    if machine.lower() not in {"x86_64", "amd64"}:
        return False
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return VNNI.isdisjoint(flags)
