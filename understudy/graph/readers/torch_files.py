"""Loads files of `torch.save` and NumPy without running code in them."""

import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.readers.old_pickles import rewritten
from understudy.graph.readers.packed import POINTER, POINTER_PROBLEM, guarded, refuse_pipe

# Errors of torch's restricted unpickler on bytes that are no pickle.
GARBAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError),
    *(AssertionError, ArithmeticError, struct.error, zlib.error, zipfile.BadZipFile),
)
UNSAFE_GLOBAL = re.compile(
    r"GLOBAL ([\w.]+)|[Uu]nsupported (?:global|class)[: ]+(?:GLOBAL )?([\w.]+)"
)
NEW_PROTOCOL = re.compile(r"Unsupported operand \d+")
DGL_SAVING = (
    "torch.save({'edge_index': torch.stack(graph.edges()), **graph.ndata, 'raw_texts': texts}, "
    "'graph.pt')"
)
DGL_ADVICE = (
    f"where DGL is installed, graph = dgl.load_graphs(file)[0][0] and {DGL_SAVING}, and "
    "`understudy data pyg` reads that file"
)
DGL_MAGIC = 0xDD2E60F0F6B4A127.to_bytes(8, "little")
NUMPY_MODULES = ("numpy._core.multiarray", "numpy.core.multiarray")  # since 2.0, and before
PICKLE_MARK = b"\x80"  # followed by the protocol's number
NO_SUCH_FILE = "no file that torch has saved, or a damaged one"
DAMAGED_ARRAYS = (*GARBAGE, OSError, NotImplementedError)


def load_file(path: Path) -> Any:
    """The content of a .pt or .npz file, loaded without running code in it.

    Raises:
        SourceError: it cannot be read, or torch is not installed.
        BadInputError: loading would have to run code, or it is another kind of file.
    """
    refuse_pipe(path)
    with guarded(path), path.open("rb") as stream:
        start = stream.read(LONGEST_MARK)
        for mark, reason in OTHERS.items():
            if start.startswith(mark):
                raise BadInputError(f"{path}: {reason}")
        arrays = is_arrays(path)
    return load_arrays(path) if arrays else load_torch(path)


# The beginnings of other files, with advice.
OTHERS = {
    DGL_MAGIC: f"a graph of DGL: {DGL_ADVICE}",
    b"\x93NUMPY": "one array of NumPy; save all of a graph together: numpy.savez(path, "
    "edge_index=edge_index, raw_texts=texts, y=labels)",
    b"MATLAB": "a file of MATLAB; load it with scipy.io.loadmat, save its arrays with torch.save "
    "or numpy.savez",
    b"\x89HDF": "HDF5; save its arrays with torch.save or numpy.savez",
    b"\x1f\x8b": "packed by gzip; unpack it: gunzip",
    b"PAR1": "Parquet, which is read by `understudy data import`",
    POINTER: POINTER_PROBLEM,
}
LONGEST_MARK = max(map(len, OTHERS))


def is_arrays(path: Path) -> bool:
    """Whether a file is a zip of NumPy arrays."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".npy") for name in archive.namelist())
    except (zipfile.BadZipFile, UnicodeDecodeError, NotImplementedError) as error:
        raise BadInputError(f"{path}: {NO_SUCH_FILE}: {error}") from error


def load_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file by name."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except DAMAGED_ARRAYS as error:
        if str(error).startswith("Object arrays"):
            raise BadInputError(
                f"{path}: an array of objects would run code when loaded, which is refused; save "
                "texts as an array of strings: numpy.array(texts, dtype=str)"
            ) from error
        raise BadInputError(f"{path}: a damaged .npz file: {error}") from error


def load_torch(path: Path) -> Any:
    """The value that torch has saved."""
    try:
        import torch
    except ImportError as error:
        raise SourceError(
            "reading a .pt file needs torch: pip install 'understudy-gnn[training]'"
        ) from error
    try:
        with (
            warnings.catch_warnings(),
            torch.sparse.check_sparse_tensor_invariants(True),
            torch.serialization.safe_globals(safe_classes()),
        ):
            warnings.simplefilter("ignore")  # of sparse tensors in beta state
            try:
                return torch.load(path, map_location="cpu", weights_only=True)
            except UnpicklingError as error:
                if not NEW_PROTOCOL.search(str(error)) or not zipfile.is_zipfile(path):
                    raise
            return torch.load(rewritten(path), map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        reason = refusal(str(error)) if is_pickled(path) else NO_SUCH_FILE
        raise BadInputError(f"{path}: {reason}") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
    except GARBAGE as error:
        raise BadInputError(f"{path}: {NO_SUCH_FILE}") from error


def is_pickled(path: Path) -> bool:
    """Whether a file is a zip, as torch saves it, or begins like a pickle."""
    with path.open("rb") as stream:
        return stream.read(1) == PICKLE_MARK or zipfile.is_zipfile(path)


def refusal(message: str) -> str:
    """Why torch's restricted unpickler refused a file, with advice."""
    unsafe = UNSAFE_GLOBAL.search(message)
    if unsafe is None:
        if NEW_PROTOCOL.search(message):
            return (
                "saved with a newer pickle protocol than can be read safely; where the file was "
                "made, save it with torch.save(value, path), without pickle_protocol"
            )
        return NO_SUCH_FILE
    name = unsafe.group(1) or unsafe.group(2)
    why = f"loading it would run code of {name}, which is refused; where the file was made, "
    if name.startswith("dgl"):
        return f"{why}save it as a dict: {DGL_SAVING}"
    if name.startswith("torch_sparse"):
        return why + "keep edge_index in place of adj_t (without the transform ToSparseTensor)"
    return why + (
        "save a dict of tensors, arrays and lists only: torch.save({'edge_index': "
        "data.edge_index, 'y': data.y, 'raw_texts': data.raw_texts}, path)"
    )


def safe_classes() -> list[Any]:
    """The classes of a saved `Data` and of NumPy arrays: plain containers that run no code."""
    arrays: list[Any] = [np.ndarray, np.dtype]
    arrays += [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    multiarray = np._core.multiarray  # type: ignore[attr-defined]
    for name in ("_reconstruct", "scalar"):
        arrays += [(getattr(multiarray, name), f"{module}.{name}") for module in NUMPY_MODULES]
    try:
        from torch_geometric.data import Data, HeteroData, storage
        from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    except ImportError:
        return arrays
    stores = [storage.BaseStorage, storage.GlobalStorage, storage.NodeStorage, storage.EdgeStorage]
    return [*arrays, Data, HeteroData, DataEdgeAttr, DataTensorAttr, *stores]


def graph_values(path: Path, value: Any) -> Mapping[str, Any]:
    """The attributes of the single graph in a file.

    Raises:
        BadInputError: there are several graphs, or none.
    """
    if isinstance(value, tuple) and len(value) > 1 and (value[1] is None or is_slices(value[1])):
        check_one(path, value[1])
        value = value[0]  # (data, slices, class), the form of PyG's in-memory data sets
    elif isinstance(value, (tuple, list)):
        if len(value) != 1:
            kinds = ", ".join(sorted({type(item).__name__ for item in value})) or "nothing"
            raise BadInputError(
                f"{path}: a {type(value).__name__} of {len(value)} values ({kinds}); one graph can "
                "be read: save it by itself, as in torch.save(graphs[0], path)"
            )
        value = value[0]
    values = attributes(value)
    if values is None:
        raise BadInputError(f"{path}: no graph in it; found: {type(value).__name__}")
    relations = [key for key in values if isinstance(key, tuple)]
    if relations:
        raise BadInputError(f"{path}: {several_types(value, relations)}")
    return values


def several_types(value: Any, relations: list[Any]) -> str:
    """Why a graph of several types is refused, and how to save one of its types."""
    relation = next((key for key in relations if key[0] == key[-1]), relations[0])
    preparation = "" if isinstance(value, Mapping) else "with values = data.to_dict(), "
    return (
        f"a graph of several types of nodes or edges ({', '.join(map(str, relations[:4]))}); only "
        f"one of one type can be read: where the file was made, {preparation}"
        f"torch.save({{**values[{relation[0]!r}], **values[{relation!r}]}}, path)"
    )


def attributes(value: Any) -> Mapping[str, Any] | None:
    """The attributes of a `Data` or a dict by name; None for anything else."""
    if isinstance(value, Mapping):
        return value
    kept = getattr(value, "__dict__", {})
    if hasattr(type(value), "to_dict"):
        if not {"_store", "_global_store"} & set(
            kept
        ):  # saved before PyG 2: the attributes are the object's own
            names = (name for name in kept if not name.startswith("_"))
            return {name: kept[name] for name in names if kept[name] is not None}
        values: Mapping[str, Any] = value.to_dict()
        return values
    return None


def is_slices(value: Any) -> bool:
    """Whether a value holds the offsets of several graphs."""
    return isinstance(value, Mapping) and "edge_index" in value and len(value["edge_index"]) >= 2


def check_one(path: Path, slices: Mapping[str, Any] | None) -> None:
    """Refuses a data set of several graphs.

    Raises:
        BadInputError: there are several.
    """
    count = 1 if slices is None else len(slices["edge_index"]) - 1
    if count > 1:
        raise BadInputError(
            f"{path}: a data set of {count:,} graphs; one graph can be read: save it by itself, "
            "as in torch.save(dataset[0], path)"
        )
