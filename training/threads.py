"""Runs work outside of torch on as many threads as torch would use."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def shared_out(work: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    """Like `map`, on torch's number of threads; `work` should release the GIL."""
    threads = min(torch.get_num_threads(), *map(len, arguments))
    if threads <= 1:
        return list(map(work, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, *arguments))
