"""Work that runs outside of torch, shared by as many threads as torch would use."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def shared_out(work: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    """`map`, its calls shared by torch's number of threads; `work` should let go of the GIL."""
    threads = min(torch.get_num_threads(), *map(len, arguments))
    if threads <= 1:
        return list(map(work, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, *arguments))
