"""Estimates the memory that training will take; without torch."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.config import CONSTANTS, TRAINING, DistillOptions, StudentConfig, reads_around
from understudy.environment import MEMORY_LIMITS, NO_LIMIT, gibibytes
from understudy.graph.errors import GraphFormatError
from understudy.graph.folder import REMEDY, read_meta

BASE_BYTES = 500e6  # of the libraries
EXPORT_BYTES = 850e6  # of the libraries, and of what torch keeps of a network during export
NODE_BYTES = 150  # of ids, labels and splits
LOADING_BYTES = 60  # per edge, while its graph is read and checked
EDGE_BYTES = 24  # per edge afterwards, in both directions: in the graph, and in a sparse matrix
ATTENDED_BYTES = 120  # per edge in addition, for GAT's pairs, scores and weights
GRAMS_A_CHARACTER = 3.2  # n-grams of a hashed text, each stored in two orders
GRAM_BYTES = 24  # per n-gram, for both orders and their source
GATHERED = 2**25  # n-grams of a graph up to which batches are cut from them; above, from words
GATHERED_BYTES = 24  # per n-gram while they are gathered
WORD_BYTES = 3  # per character of a hashed text, if only its words are stored
KEPT_FROM = 2**24  # bytes of a graph's texts from which the results of hashing are cached
BAG_WIDTH = 128  # of the learned embedding of an n-gram bucket
BAG_NUMBERS = 3 * BAG_WIDTH  # per hashed text: its bag, the bag after dropout, and their gradient
STEP_GRAM_BYTES = 16  # per n-gram of a step's texts: by row and by column
KEPT_NUMBERS = 2**24  # of a layer's input: up to 64 MiB, and a multiple in a step
EXPORTED_AT_ONCE = 2**22  # neighbours that an export sums per step
EXPORTED_BYTES = 150  # of each
STORED_EDGE_BYTES = 8  # per edge of a graph folder or bundle, in both directions
STORED_NODE_BYTES = 40  # per node, for offsets of lists and texts, labels and splits
DENSE_WIDTH = 384  # of a text's embedding
PAIR_NUMBERS = 12  # per class and pair whose outputs an objective compares
PAIR_BYTES = 70  # per edge, in both directions: its ends, for such an objective
HEADROOM = 0.85  # usable share of free memory
BATCH = 1_024  # seeds per step, if the whole graph does not fit
NUMBER = 4  # bytes
# A Parquet writer keeps each text once while a row group's different ones fit into a page.
DICTIONARY_BYTES, INDEX_BYTES = 2**20 + 2**16, 4


@dataclass(frozen=True, slots=True)
class GraphSize:
    nodes: int
    edges: int  # each counted once
    classes: int
    text_bytes: int
    train: int = 0  # nodes of the training split


def graph_size(folder: Path) -> GraphSize:
    """The size of a graph folder, from its metadata.

    Raises:
        GraphError: see `read_meta`; or the nodes' file is damaged.
    """
    meta = read_meta(folder)
    try:
        texts = text_bytes(folder / "nodes.parquet")
    except (OSError, ValueError, pa.ArrowException) as error:
        raise GraphFormatError(f"{folder} is damaged: {error}; {REMEDY}") from error
    train = int(meta["splits"].get("train", 0))
    return GraphSize(meta["nodes"], meta["edges"], len(meta["label_names"]), texts, train)


def text_bytes(file: Path) -> int:
    """The size of all texts in a nodes' file; read only where the file holds each text once."""
    with pq.ParquetFile(file, read_dictionary=["text"]) as table:
        place = table.schema_arrow.names.index("text")
        total = 0
        for number in range(table.num_row_groups):
            group = table.metadata.row_group(number)
            size = group.column(place).total_uncompressed_size
            if size <= DICTIONARY_BYTES + INDEX_BYTES * group.num_rows:
                size = repeated_bytes(table.read_row_group(number, ["text"]).column(0))
            total += size
    return total


def repeated_bytes(texts: pa.ChunkedArray) -> int:
    """The size of texts that are kept as places in a list of the different ones."""
    sizes = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in texts.chunks)
    return sum(pc.sum(lengths).as_py() or 0 for lengths in sizes)


def training_bytes(
    size: GraphSize,
    student: StudentConfig,
    hashed: bool,
    taught: bool,
    whole: bool,
    fanout: int = TRAINING.fanout,
    around: bool = False,
) -> float:
    """Peak memory of the process in bytes; dense features stay mapped, and are not counted.

    Args:
        around: whether an objective reads the outputs of neighbours

    Per node, a step over the whole graph holds each layer's input, the sums over its neighbours
    (whose memory their gradient reuses), and one gradient; with objectives that read activations,
    also the last ones and their gradients. An evaluation holds the input and the output of a layer.
    """
    layers, width = student.layers, student.hidden * NUMBER
    by_node = width * ((2 * layers + 1 + (layers + 2) * taught) if whole else 3)
    by_node += size.classes * NUMBER * (3 + taught) + NODE_BYTES
    if student.kind == "gat" and whole:
        by_node += 2 * layers * width
    by_edge = EDGE_BYTES + ATTENDED_BYTES * (student.kind == "gat")
    by_edge += PAIR_BYTES * (around and whole)
    kept = WORD_BYTES + GRAMS_A_CHARACTER * GRAM_BYTES * whole
    texts = size.text_bytes * (1 + kept * hashed)
    by_node += BAG_NUMBERS * NUMBER * (hashed and whole)
    trained = size.nodes * by_node + size.edges * by_edge + texts
    if whole:
        trained += pair_bytes(size, 2 * size.edges) * around
    else:
        trained += step_bytes(size, student, hashed, fanout, around)
        grams = GRAMS_A_CHARACTER * size.text_bytes * hashed
        trained += grams * GATHERED_BYTES * (grams <= GATHERED)
    return BASE_BYTES + max(trained, loading_bytes(size))


def loading_bytes(size: GraphSize) -> float:
    """Memory for reading a graph, in bytes."""
    return size.edges * LOADING_BYTES + 2 * size.text_bytes


def pair_bytes(size: GraphSize, edges: float) -> float:
    """Memory for an objective's outputs at both ends of some edges, in bytes."""
    return min(edges, CONSTANTS.pairs) * size.classes * NUMBER * PAIR_NUMBERS


def step_bytes(
    size: GraphSize, student: StudentConfig, hashed: bool, fanout: int, around: bool = False
) -> float:
    """Memory of a step of BATCH seeds, with `fanout` neighbours drawn per node and hop, in bytes.

    It holds the features of all drawn nodes, and of each layer's activations those that are read on
    the way to the seeds' (`training.data.Batch.reach`); GAT computes all of them. If an objective
    reads the outputs of neighbours, the way to these is one hop longer.
    """
    reached = drawn_nodes(size, student, fanout, int(around))
    grams = GRAMS_A_CHARACTER * size.text_bytes / max(size.nodes, 1)
    features = grams * STEP_GRAM_BYTES + BAG_NUMBERS * NUMBER if hashed else DENSE_WIDTH * NUMBER
    if student.kind == "gat":
        features += ATTENDED_BYTES * 2  # by a node that is drawn there is an edge, and its own
        reached = [reached[-1]] * len(reached)
    rows = step_rows(reached, student.hidden, BAG_WIDTH if hashed else DENSE_WIDTH)
    taken = reached[-1] * features + rows * student.hidden * NUMBER
    if around:
        taken += reached[-1] * PAIR_BYTES / 2 + pair_bytes(size, BATCH * (fanout + 1))
    return taken


def drawn_nodes(
    size: GraphSize, student: StudentConfig, fanout: int, around: int = 0
) -> list[float]:
    """The expected number of nodes within 0, 1 … hops of those whose outputs are read, which are
    the seeds and the nodes within `around` hops of them; one more value than layers.

    Seeds have the mean degree, their neighbours more. The number of distinct nodes assumes uniform
    draws; other draws reach fewer.
    """
    nodes = max(size.nodes, 1)
    draws = float(min(BATCH, nodes))
    within, ring = [draws], draws * min(fanout, 2 * size.edges / nodes)
    for _ in range(student.layers + around):
        draws += ring
        ring *= fanout
        within.append(max(within[0], nodes * -math.expm1(-draws / nodes)))
    if student.kind == "mlp":
        return [within[around]] * (student.layers + 1)
    return within[around:]


def step_rows(around: Sequence[float], hidden: int, width: int) -> float:
    """Peak number of activation rows in a step, including the sums over neighbours.

    Args:
        around: number of nodes in each layer's input, starting with the last layer's output.
        width: of the input layer's features.
    """
    rows = 2 * around[-1]  # the first activations, and their gradient
    if around[-1] * width <= KEPT_NUMBERS:
        rows += 2 * around[-1]
    for results, read in pairwise(around):
        kept = read * hidden <= KEPT_NUMBERS
        rows += read + 6 * results if kept else 2 * results
    return rows


def exporting_bytes(size: GraphSize, student: StudentConfig, hashed: bool) -> float:
    """Peak memory of an export: the stored activations, the graph, and the texts' words."""
    by_node = (student.layers * student.hidden + size.classes) * NUMBER + NODE_BYTES
    texts = size.text_bytes * (1 + WORD_BYTES * hashed)
    kept = size.nodes * by_node + size.edges * STORED_EDGE_BYTES + texts
    kept += min(2 * size.edges, EXPORTED_AT_ONCE) * EXPORTED_BYTES
    return EXPORT_BYTES + max(kept, loading_bytes(size))


def bundle_bytes(size: GraphSize, student: StudentConfig, weights: float) -> float:
    """Size of a bundle on disk in bytes; it holds the weights twice, once in student.onnx.

    Args:
        weights: bytes of the student's.
    """
    by_node = (student.layers * student.hidden + size.classes) * NUMBER + STORED_NODE_BYTES
    edges = size.edges * STORED_EDGE_BYTES
    return 2 * weights + size.nodes * by_node + edges + size.text_bytes


@dataclass(frozen=True, slots=True)
class BatchChoice:
    """The number of seeds per step, 0 for the whole graph, and the reason in words."""

    seeds: int
    reason: str
    bytes: float  # at the peak


def choose_batch(
    size: GraphSize,
    student: StudentConfig,
    hashed: bool,
    taught: bool,
    free: float,
    fanout: int = TRAINING.fanout,
    around: bool = False,
) -> BatchChoice:
    """Chooses the whole graph if it fits into the free memory, otherwise batches."""
    whole = training_bytes(size, student, hashed, taught, whole=True, around=around)
    needed = f"training on the whole graph takes about {gibibytes(round(whole))}"
    if whole <= HEADROOM * free:
        return BatchChoice(0, f"{needed} of {gibibytes(round(free))} that are free", whole)
    drawn = training_bytes(size, student, hashed, taught, False, fanout, around)
    return BatchChoice(
        BATCH,
        f"{needed}, more than is free ({gibibytes(round(free))}): training in batches of {BATCH:,} "
        f"nodes with sampled neighbours instead, which takes about {gibibytes(round(drawn))} but "
        "is slower; --batch-size 0 forces the whole graph",
        drawn,
    )


def chosen_batch(
    size: GraphSize, options: DistillOptions, free: float | None = None
) -> BatchChoice:
    """`choose_batch` for a distillation.

    Args:
        free: bytes of a device with its own memory, which also holds dense features; None: free
            memory of this machine
    """
    hashed, taught = options.encoder == "hashing", options.teacher is not None
    if free is None:
        free = free_bytes()
    elif not hashed:
        free -= size.nodes * DENSE_WIDTH * NUMBER
    fanout = options.training.fanout
    around = reads_around(options.objectives)
    return choose_batch(size, options.student, hashed, taught, free, fanout, around)


def free_bytes() -> int:
    """Free memory of this machine, or of the container, in bytes."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in read_lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    for path in MEMORY_LIMITS:
        limit = "".join(read_lines(path)).strip()
        if limit.isdecimal() and int(limit) < NO_LIMIT:
            free = min(free, int(limit))
    return free


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
