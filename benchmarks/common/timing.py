"""Times functions in turn, so that other load on the machine affects all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping


def side_by_side(
    works: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2, repeats: int = 1
) -> dict[str, float]:
    """The median seconds of each function; they take turns, so that noise affects all alike.

    Args:
        repeats: times that a work runs in its turn; all but the first find its data in the caches,
            as in a process that does nothing else.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(warmup + rounds):
        for name, work in works.items():
            for _ in range(repeats):
                started = time.perf_counter()
                work()
                if number >= warmup:
                    seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
