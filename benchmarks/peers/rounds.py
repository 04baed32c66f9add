"""Measures the service and a rival in turn, so that other load affects both alike."""

import statistics
from collections.abc import Callable
from typing import TypeVar

from benchmarks.peers.peer import OURS, Peer
from benchmarks.peers.results import (
    LoadComparison,
    Plan,
    Sustained,
    TimeComparison,
    UnseenComparison,
)
from benchmarks.serving.questions import Questions, mutation_body
from benchmarks.serving.sequential import one_by_one, times_of
from benchmarks.serving.servers import MUTATIONS, Served
from benchmarks.serving.wrk import CONNECTIONS, LoadRun, wrk

STORED_BODIES, UNSEEN_BODIES = 100, 400
WARM_SECONDS = 1


Result = TypeVar("Result")
Turn = Callable[[Served, Peer, int], Result]  # the round's number, from 0 on


def alternating(
    own: Served, other: Served, peer: Peer, rounds: int, turn: Turn[Result]
) -> list[list[Result]]:
    """Measures both in turn; returns the results of each, without those of the first round.

    Each one goes first in every second round.
    """
    ours: list[Result] = []
    theirs: list[Result] = []
    sides = [(own, OURS, ours), (other, peer, theirs)]
    for number in range(rounds + 1):
        for server, who, results in sides:
            result = turn(server, who, number)
            if number:
                results.append(result)
        sides.reverse()
    return [ours, theirs]


def loaded(
    own: Served, other: Served, peer: Peer, plan: Plan, questions: Questions, sort: str
) -> LoadComparison:
    """Measures requests per second, and the server's time per request, under load."""
    count = STORED_BODIES if sort == "stored" else UNSEEN_BODIES
    nodes = questions.nodes(sort, count)

    def turn(server: Served, who: Peer, number: int) -> LoadRun:
        bodies = [who.body([node], 1) for node in nodes]
        seconds = plan.seconds if number else WARM_SECONDS
        return wrk(server, bodies, seconds, CONNECTIONS, who.path)

    sides = alternating(own, other, peer, plan.rounds, turn)
    ours, theirs = (
        Sustained(
            statistics.median(run.per_second for run in runs),
            statistics.median(run.microseconds for run in runs),
            runs,
        )
        for runs in sides
    )
    return LoadComparison(
        ours,
        theirs,
        times_the_rate=ours.per_second / theirs.per_second,
        times_by_processor=share(theirs.processor_us, ours.processor_us),
    )


def one_at_a_time(
    own: Served, other: Served, peer: Peer, plan: Plan, questions: Questions, encoder_ms: float
) -> UnseenComparison:
    """Measures the latency of unseen nodes; in a round both get the same ones.

    Args:
        encoder_ms: median time of the text encoder, which all share
    """

    nodes = [questions.nodes("unseen", plan.requests) for _ in range(plan.rounds + 1)]

    def turn(server: Served, who: Peer, number: int) -> tuple[list[float], float]:
        return one_by_one(server, who.path, [who.body([node], 1) for node in nodes[number]])

    ours, theirs = map(times_of, alternating(own, other, peer, plan.rounds, turn))
    rest = ours.p50 - encoder_ms  # on a busy machine it may be nothing
    return UnseenComparison(
        ours,
        theirs,
        times_faster=theirs.p50 / ours.p50,
        times_by_processor=share(theirs.processor_ms, ours.processor_ms),
        times_apart_from_encoder=(theirs.p50 - encoder_ms) / rest if rest > 0 else None,
    )


def changed(
    own: Served, other: Served, peer: Peer, plan: Plan, questions: Questions
) -> TimeComparison:
    """Measures the latency of a change: adds an edge, and removes it again."""
    edges = questions.edges(plan.changes)
    bodies = [mutation_body(edge, kind) for edge in edges for kind in ("add_edge", "remove_edge")]

    def turn(server: Served, _: Peer, __: int) -> tuple[list[float], float]:
        return one_by_one(server, MUTATIONS, bodies)

    ours, theirs = map(times_of, alternating(own, other, peer, plan.rounds, turn))
    return TimeComparison(
        ours,
        theirs,
        times_faster=theirs.p50 / ours.p50,
        times_by_processor=share(theirs.processor_ms, ours.processor_ms),
    )


def share(theirs: float, ours: float) -> float | None:
    """None where our processor time is below the clock's tick, 10 ms in all."""
    return theirs / ours if ours else None
