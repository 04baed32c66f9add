"""Opening a bundle with too little memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# The network's weights are more than what the limit leaves; the program itself has room.
SCRIPT = """
import resource, sys
from pathlib import Path
from understudy.bundle import BundleMemoryError
from understudy.bundle.sessions import Network
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**26, taken + 2**26))
try:
    Network(Path(sys.argv[1]))
except BundleMemoryError as error:
    print(error)
"""


def save_large_network(path: Path) -> None:
    """A sum with 128 MiB of constants."""
    weights = numpy_helper.from_array(np.ones((2**13, 2**12), np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2**13, 2**12]) for n in "xy")
    added = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([added], "large", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def test_too_little_memory_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    save_large_network(path)
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, check=False
    )
    assert run.stdout.startswith(f"the memory is too small to open {path}: "), run.stderr
    assert "onnxruntime does not accept" not in run.stdout
