"""Sends one request at a time over one connection; times each, and the server's work."""

import http.client
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from benchmarks.errors import BenchmarkError
from benchmarks.serving.servers import Served


@dataclass(frozen=True, slots=True)
class Times:
    """Times of requests that are sent one after the other, in milliseconds."""

    p50: float
    p99: float
    processor_ms: float  # of the server, a request
    requests: int


def one_by_one(server: Served, path: str, bodies: Sequence[bytes]) -> tuple[list[float], float]:
    """Milliseconds of each request, over one connection, and the server's a request.

    Raises:
        BenchmarkError: an answer was no success.
    """
    url = httpx.URL(server.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=120)
    headers = {"content-type": "application/json"}
    times = []
    before = server.processor_seconds
    try:
        for body in bodies:
            started = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            times.append(1_000 * (time.perf_counter() - started))
            if answer.status != httpx.codes.OK:
                raise BenchmarkError(f"an answer was {answer.status}: {content[:200]!r}")
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"a request got no answer: {error}") from error
    finally:
        connection.close()
    return times, 1_000 * (server.processor_seconds - before) / len(bodies)


def times_of(turns: Sequence[tuple[list[float], float]]) -> Times:
    times = [value for values, _ in turns for value in values]
    p50, p99 = np.percentile(times, [50, 99]).round(4).tolist()
    return Times(p50, p99, statistics.median(used for _, used in turns), len(times))
