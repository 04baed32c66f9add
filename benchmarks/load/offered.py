"""The load to send: rates, mixes of sorts of requests, and requests with their start times."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.serving.open_loop import Arrival, poisson_times
from benchmarks.serving.questions import Questions
from benchmarks.serving.raw_client import prepare
from benchmarks.serving.servers import MUTATIONS

SORTS = ("stored", "unseen", "teacher", "changes")
MIXES = ("stored=100", "unseen=100", "stored=90,unseen=9,changes=1")
MOST_REQUESTS = 2_000_000  # of a rate: all are made before the first is sent, of some hundred bytes


@dataclass(frozen=True, slots=True)
class Offered:
    """One mix at one rate."""

    mix: str  # as --mix says it
    rate: float  # requests a second
    seconds: float
    wish: float | None = None  # seconds within which requests say that they want their answer


def parse_rates(text: str) -> list[float]:
    """Parses rates, which must be above 0.

    Raises:
        BenchmarkError: something else.
    """
    try:
        rates = [float(part) for part in text.split(",")]
    except ValueError:
        rates = [0.0]
    if not all(0 < rate < math.inf for rate in rates):
        raise BenchmarkError(f"--rates takes numbers above 0 between commas, not {text!r}")
    return rates


def check_few(rate: float, seconds: float) -> None:
    """Refuses more requests than fit into memory.

    Raises:
        BenchmarkError: there are more.
    """
    if rate * seconds > MOST_REQUESTS:
        raise BenchmarkError(
            f"--rates {rate:g} for --seconds {seconds:g} are {rate * seconds:,.0f} requests, of at "
            f"most {MOST_REQUESTS:,}; lower one of them"
        )


def check_mixes(texts: Sequence[str], teacher: Path | None) -> None:
    """Refuses mixes that cannot be offered.

    Raises:
        BenchmarkError: see `parse_mix`; or a teacher's share without a teacher.
    """
    for text in texts:
        if "teacher" in parse_mix(text) and teacher is None:
            raise BenchmarkError(f"--mix {text} asks a teacher; name its folder with --teacher")


def parse_mix(text: str) -> dict[str, float]:
    """Parses shares of sorts; they must add up to 1.

    Raises:
        BenchmarkError: an unknown sort, or shares that are none.
    """
    try:
        pairs = [part.split("=") for part in text.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        shares = {}
    known = bool(shares) and shares.keys() <= set(SORTS) and len(shares) == text.count(",") + 1
    if not known or not all(0 < share < math.inf for share in shares.values()):
        raise BenchmarkError(
            f"--mix takes shares above 0 of {', '.join(SORTS)}, each once, such as {MIXES[-1]}; "
            f"not {text!r}"
        )
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items()}


def planned(questions: Questions, offered: Offered, seed: int) -> list[Arrival]:
    """Makes the requests of a rate, each of a random sort."""
    times = poisson_times(offered.rate, offered.seconds, seed)
    mix = parse_mix(offered.mix)
    sorts = np.random.default_rng(seed).choice(list(mix), len(times), p=list(mix.values()))
    counts = {name: int((sorts == name).sum()) for name in mix}
    requests = {name: prepared(questions, name, counts[name], offered.wish) for name in mix}
    return [
        Arrival(at, next(requests[name]), name)
        for at, name in zip(times, sorts.tolist(), strict=True)
    ]


def prepared(
    questions: Questions, sort: str, count: int, wish: float | None = None
) -> Iterator[bytes]:
    """Requests of one sort; each change adds an edge that no other one adds."""
    if sort == "teacher":
        nodes = questions.nodes("unseen", count)
        bodies = [{"nodes": [node], "route": "teacher"} for node in nodes]
        return iter([prepare(body, seconds=wish) for body in bodies])
    if sort != "changes":
        bodies = [{"nodes": [node]} for node in questions.nodes(sort, count)]
        return iter([prepare(body, seconds=wish) for body in bodies])
    changes = [{"kind": "add_edge", **edge} for edge in questions.edges(count)]
    return iter([prepare({"mutations": [change]}, MUTATIONS, wish) for change in changes])
