"""A network with fixed shapes and arrays on the device; on CUDA it replays a captured graph."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from understudy.bundle.sessions import open_session

DEVICES = {"cpu": "cpu", "cuda": "cuda", "tensorrt": "cuda"}


class FixedNetwork:
    """Runs one shape repeatedly; not to be shared between threads.

    Inputs and output keep their addresses, as a CUDA graph requires. `resident` inputs, such as a
    layer's table, are copied to the device once. The caller pads nodes to the shape:
    `understudy.graph.layers.neighborhoods` buckets degrees by powers of two.
    """

    def __init__(
        self,
        path: Path,
        samples: Mapping[str, NDArray[np.generic]],
        rows: int,
        provider: str = "cuda",
        resident: tuple[str, ...] = ("table",),
    ) -> None:
        """Opens the file and binds its arrays.

        Args:
            samples: an array of the final shape and type for every input; the values of a resident
                input are used until `replace`.
            rows: number of rows of the output.
            provider: cpu, cuda or tensorrt.

        Raises:
            ProviderError, BundleDamagedError: see `understudy.bundle.sessions.Network`.
        """
        graphs = {"enable_cuda_graph": "1"} if provider == "cuda" else {}
        device = DEVICES.get(provider, "cpu")
        self.session = open_session(path, 1, provider, graphs)
        self.binding = self.session.io_binding()
        self.resident = resident
        self.inputs: dict[str, onnxruntime.OrtValue] = {}
        for name in (entry.name for entry in self.session.get_inputs()):
            value = np.ascontiguousarray(samples[name])
            self.inputs[name] = onnxruntime.OrtValue.ortvalue_from_numpy(value.copy(), device, 0)
            self.binding.bind_ortvalue_input(name, self.inputs[name])
        output = self.session.get_outputs()[0]
        shape = [rows, int(output.shape[1])]
        self.output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            shape, np.float32, device, 0
        )
        self.binding.bind_ortvalue_output(output.name, self.output)

    def replace(self, name: str, values: NDArray[np.generic]) -> None:
        """Overwrites an input's values on the device; the shape must be the same."""
        self.inputs[name].update_inplace(np.ascontiguousarray(values))

    def __call__(self, feeds: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
        """Runs with new values for every input that is not resident."""
        for name in self.inputs:
            if name not in self.resident:
                self.replace(name, feeds[name])
        self.session.run_with_iobinding(self.binding)
        result: NDArray[np.float32] = self.output.numpy()
        return result.copy()
