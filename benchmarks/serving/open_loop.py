"""Sends requests at set times, regardless of answers; each is timed from its set time.

A client that waits for an answer before it asks again measures a slow server less often than a fast
one (coordinated omission). Here a request that could not be sent in time has waited all the same.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.serving.raw_client import RawClient

GIVE_UP_SECONDS = 60.0  # after the last request


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request, and when it starts, in seconds from the beginning."""

    at: float
    request: bytes
    sort: str = ""


@dataclass(slots=True)
class Tally:
    """Answers by status, and the seconds of those that were answered.

    Attributes:
        broken: why there was no answer, in the system's words → how often.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)

    def add(self, status: int, seconds: float) -> None:
        self.statuses[status] += 1
        if status == 200:
            self.seconds.append(seconds)

    def fail(self, reason: str) -> None:
        self.broken[reason] += 1

    @property
    def failures(self) -> int:
        """Connections that broke, and requests that were given up."""
        return self.broken.total()


def poisson_times(per_second: float, seconds: float, seed: int) -> list[float]:
    """Starts of a Poisson process, in order."""
    generator = np.random.default_rng(seed)
    count = generator.poisson(per_second * seconds)
    return sorted(generator.uniform(0, seconds, count).tolist())


def steady_times(per_second: float, count: int) -> list[float]:
    return [number / per_second for number in range(count)]


def arrivals_of(times: Iterable[float], requests: Iterable[bytes]) -> list[Arrival]:
    return [Arrival(at, request) for at, request in zip(times, requests, strict=True)]


async def send(client: RawClient, request: bytes, tally: Tally, intended: float) -> None:
    """Sends a request; its seconds count from `intended`, a time of `time.perf_counter`."""
    try:
        status = await client.send(request)
    except (OSError, EOFError) as error:
        tally.fail(reason_of(error))
        return
    tally.add(status, time.perf_counter() - intended)


def reason_of(error: OSError | EOFError) -> str:
    """Why a request has no answer."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return "closed without an answer"


async def open_loop(
    client: RawClient, arrivals: Sequence[Arrival]
) -> tuple[dict[str, Tally], float]:
    """Sends every request at its time.

    Returns:
        what was answered, by the requests' sort, and the seconds until the last answer
    """
    tallies = {arrival.sort: Tally() for arrival in arrivals}
    tasks: dict[asyncio.Task[None], str] = {}
    started = time.perf_counter()
    for arrival in arrivals:
        wait = started + arrival.at - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        sent = send(client, arrival.request, tallies[arrival.sort], started + arrival.at)
        task = asyncio.create_task(sent)
        tasks[task] = arrival.sort
        task.add_done_callback(lambda done: tasks.pop(done, None))
    waiting = dict(tasks)
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=GIVE_UP_SECONDS)
        for task in late:
            task.cancel()
            tallies[waiting[task]].fail(f"no answer within {GIVE_UP_SECONDS:.0f} s")
    return tallies, time.perf_counter() - started
