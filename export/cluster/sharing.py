"""Runs export's passes on a cluster: ranges of nodes become shards, and shards become tables."""

import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.cluster.ranges import (
    EncodingPass,
    InputPass,
    LayerPass,
    Pass,
    Range,
    RangeWorker,
)
from export.encoder.embeddings import ENCODING
from export.encoder.files import WrittenEncoder
from export.errors import ExportError
from export.passes import Activations, StudentFeatures
from export.student.activations import STAGE, node_ranges
from export.student.forms import Form
from training.encoders.features import write_rows
from training.errors import TrainingError
from understudy.bundle import BundleError
from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import Cluster
from understudy.cluster.sharing import Workers, at_work
from understudy.graph import TextGraph
from understudy.progress import Progress

NODES_A_RANGE = 8_192  # a dying worker loses only a few seconds of work
NEIGHBORS_A_RANGE = 2**19
TEXTS_A_RANGE = 1_024  # a transformer takes milliseconds for each
ENDED = "no partial result is left; the same command starts from the beginning"


@contextmanager
def shared_passes(
    cluster: Cluster, graph: TextGraph, graph_folder: Path, folder: Path
) -> Iterator["SharedPasses"]:
    """Workers that read the graph, and write into a folder that exists only meanwhile.

    All machines of the cluster must see both by the same paths.
    """
    folder.mkdir()
    own = str(graph_folder.resolve()), graph.content_hash
    errors = (TrainingError, ExportError, BundleError)
    with at_work(cluster, RangeWorker, *own, ours=errors, then=ENDED) as workers:
        yield SharedPasses(workers, folder.resolve())
    shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class SharedPasses:
    """Workers as `export.passes.Passes`: what they make lies in files, and is mapped from them."""

    workers: Workers[Range, None]
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)  # of the passes

    def activations(
        self, graph: TextGraph, form: Form, inputs: StudentFeatures, progress: Progress
    ) -> Activations:
        form = replace(form, folder=form.folder.resolve())
        ranges = list(node_ranges(graph.adjacency, NODES_A_RANGE, NEIGHBORS_A_RANGE))
        total = (form.info.layers + 1) * len(ranges)
        file = inputs.file and inputs.file.resolve()
        first = InputPass(form, inputs.spec, file)
        tables = [self.table(first, ranges, (STAGE, 0, total), progress)]
        for number in range(1, form.info.layers + 1):
            one, done = LayerPass(form, number, tables[-1]), number * len(ranges)
            tables.append(self.table(one, ranges, (STAGE, done, total), progress))
        return [np.load(table, mmap_mode="r", allow_pickle=False) for table in tables]

    def embeddings(
        self, graph: TextGraph, encoder: WrittenEncoder, file: str, progress: Progress
    ) -> NDArray[np.float32]:
        one = EncodingPass(encoder.folder.resolve(), encoder.original.max_tokens, file)
        starts = range(0, graph.num_nodes, TEXTS_A_RANGE)
        ranges = [(start, min(start + TEXTS_A_RANGE, graph.num_nodes)) for start in starts]
        table = self.table(one, ranges, (ENCODING, 0, len(ranges)), progress)
        values: NDArray[np.float32] = np.load(table, mmap_mode="r", allow_pickle=False)
        table.unlink()  # the mapping keeps it alive
        return values

    def table(
        self,
        one: Pass,
        ranges: Sequence[tuple[int, int]],
        stage_range: tuple[str, int, int],
        progress: Progress,
    ) -> Path:
        """Runs a pass over all nodes; returns the .npy file of the results, and removes its shards.

        Args:
            stage_range: the stage, its progress so far, and its total

        Raises:
            ClusterError: see `Workers.each` and `joined_shards`.
        """
        stage, before, total = stage_range
        name = f"pass-{next(self.numbers)}"
        items = [
            Range(one, start, end, self.folder / f"{name}-{start}.npy") for start, end in ranges
        ]
        progress(stage, before, total)
        for done, _ in enumerate(self.workers.each(items), before + 1):
            progress(stage, done, total)
        shards = [item.shard for item in items]
        return joined_shards(shards, items[-1].end, self.folder / f"{name}.npy")


def joined_shards(shards: Sequence[Path], count: int, path: Path) -> Path:
    """Joins shards to one .npy file of `count` rows, and removes them.

    Raises:
        ClusterError: a worker has written one where this machine does not see it.
    """
    width = shard_rows(shards[0]).shape[1]
    with path.open("wb") as stream:
        write_rows(stream, map(shard_rows, shards), count, width)
    for shard in shards:
        shard.unlink()
    return path


def shard_rows(shard: Path) -> NDArray[np.float32]:
    if not shard.is_file():
        raise ClusterError(
            f"a worker has written {shard}, which does not exist on {socket.gethostname()}; every "
            "machine of the cluster must have the place of the bundle at the same path, as on a "
            "shared file system"
        )
    rows: NDArray[np.float32] = np.load(shard, mmap_mode="r", allow_pickle=False)
    return rows
