"""Writes a model repository for NVIDIA Triton: the bundle's networks, each with a config.pbtxt.

Files are copied, not converted, and their inputs and outputs are read from them. The server batches
networks whose inputs all have one row per node; those that read a table, or a whole neighbourhood,
take one request at a time. docs/reference/bundle.md describes the client's steps.
"""

from pathlib import Path
from shutil import copyfile

import onnx

from understudy.bundle import Bundle, open_bundle
from understudy.bundle.student import WHOLE_FILE
from understudy.folders import atomic_folder, check_output, check_space
from understudy.folders.kinds import MANIFEST_KEY, REPOSITORY
from understudy.graph.files import write_json

TYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "TYPE_FP32",
    onnx.TensorProto.INT64: "TYPE_INT64",
}
MAX_BATCH = 64  # rows
REPOSITORY_FORMAT = 1
QUEUE_MICROSECONDS = 500  # how long a request waits for others


def write_repository(bundle_folder: Path, out: Path, force: bool = False) -> list[str]:
    """Writes the repository; returns the names of its models.

    In addition to the models' folders, which are all that Triton reads, it holds a list of its
    files.

    Raises:
        BundleError: the bundle is missing or damaged.
        FolderError: `out` may not be replaced, or cannot be written.
    """
    bundle = open_bundle(bundle_folder)
    files = served_files(bundle)
    needed = sum(bundle.manifest.files[file].bytes for file in files)
    check_output(out, REPOSITORY, [bundle_folder], force)
    check_space(out, needed)
    names = [Path(file).stem.replace("-", "_") for file in files]
    with atomic_folder(out) as folder:
        for file, name in zip(files, names, strict=True):
            (folder / name / "1").mkdir(parents=True)
            copyfile(bundle.path(file), folder / name / "1" / "model.onnx")
            (folder / name / "config.pbtxt").write_text(config(name, bundle.path(file)))
        written = [f"{name}/{file}" for name in names for file in ("1/model.onnx", "config.pbtxt")]
        write_json(folder / REPOSITORY.marker, {"triton": REPOSITORY_FORMAT, MANIFEST_KEY: written})
    return names


def served_files(bundle: Bundle) -> list[str]:
    """The student's networks, and the encoder file that the bundle serves."""
    files = [name for name in bundle.manifest.files if Path(name).parent == Path(WHOLE_FILE).parent]
    encoder = bundle.manifest.encoder
    return files + ([encoder.file] if encoder.kind == "minilm" else [])


def config(name: str, path: Path) -> str:
    """The text of a model's config.pbtxt, derived from the network."""
    graph = onnx.load(path).graph
    batched = is_batched(graph)
    lines = [f'name: "{name}"', 'backend: "onnxruntime"']
    # Rows of an int8 network depend on the rest of the batch.
    lines.append(f"max_batch_size: {MAX_BATCH if batched else 0}")
    for kind, entries in (("input", graph.input), ("output", graph.output)):
        lines += [f"{kind} ["] + [described(entry, batched) for entry in entries]
        lines[-1] = lines[-1].rstrip(",")
        lines.append("]")
    if batched:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_MICROSECONDS} }}")
    return "\n".join(lines) + "\n"


def is_batched(graph: onnx.GraphProto) -> bool:
    """Whether all inputs share their first axis, and rows do not depend on each other."""
    first = {entry.type.tensor_type.shape.dim[0].dim_param for entry in graph.input}
    quantized = any(node.op_type == "DynamicQuantizeLinear" for node in graph.node)
    names = {entry.name for entry in graph.input}
    return len(first) == 1 and not quantized and not any(name.startswith("own") for name in names)


def described(entry: onnx.ValueInfoProto, batched: bool) -> str:
    tensor = entry.type.tensor_type
    dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
    shape = ", ".join(map(str, dims[1:] if batched else dims))
    return f'  {{ name: "{entry.name}" data_type: {TYPES[tensor.elem_type]} dims: [ {shape} ] }},'
