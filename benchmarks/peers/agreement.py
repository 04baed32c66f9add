"""Checks whether a rival gives the same answers as the service."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.errors import BenchmarkError
from benchmarks.peers.peer import OURS, NodeBody, Peer, Scores, ask
from benchmarks.serving.servers import Served

CHECKED = 24  # nodes of each sort
TOLD = 3  # labels that are compared
TOLERANCE = 1e-4  # of a probability


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a rival's answers agree with the service's."""

    nodes: int
    same_label: float  # share of the nodes
    difference: float  # largest, of a probability that both tell


def compare(own: Served, other: Served, peer: Peer, nodes: Sequence[NodeBody]) -> Agreement:
    """Asks both about the same nodes, one at a time.

    Raises:
        BenchmarkError: one does not answer; or they must answer alike and do not.
    """
    pairs = [(scores(own, OURS, node), scores(other, peer, node)) for node in nodes]
    same = [next(iter(ours)) == next(iter(theirs)) for ours, theirs in pairs]
    gaps = [abs(ours[k] - theirs[k]) for ours, theirs in pairs for k in ours.keys() & theirs]
    found = Agreement(len(nodes), sum(same) / len(same), max(gaps, default=0.0))
    if peer.exact and found.difference > TOLERANCE:
        raise BenchmarkError(
            f"its answers differ from the service's by up to {found.difference:.1e}, so it is not "
            "timed; is the student the one that the bundle was exported from?"
        )
    return found


def scores(server: Served, peer: Peer, node: NodeBody) -> Scores:
    answer = ask(server, peer, peer.body([node], TOLD))
    if not answer.is_success:
        raise BenchmarkError(f"{peer.name} answers {answer.status_code}: {answer.text[:200]}")
    (found,) = peer.scores(answer.content)
    return found
