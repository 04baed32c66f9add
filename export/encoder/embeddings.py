"""Embeds a graph's texts with an exported encoder; a light module, so that workers load fast."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from understudy.graph import TextGraph
from understudy.progress import Progress, silent

TEXTS_A_STEP = 256  # between two progress reports
ENCODING = "Encoding texts with int8"


def encoded(
    encode: Callable[[list[str]], NDArray[np.float32]],
    graph: TextGraph,
    start: int,
    end: int,
    progress: Progress = silent,
) -> Iterator[NDArray[np.float32]]:
    """Yields the embeddings of a range of nodes, in parts."""
    for first in range(start, end, TEXTS_A_STEP):
        last = min(first + TEXTS_A_STEP, end)
        yield encode(graph.texts[first:last].to_pylist())
        progress(ENCODING, last, end)
