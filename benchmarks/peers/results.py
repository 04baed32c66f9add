"""The content of results/peers.json: each rival compared with the service."""

from dataclasses import dataclass
from typing import NotRequired, TypedDict

from benchmarks.peers.agreement import Agreement
from benchmarks.serving.sequential import Times
from benchmarks.serving.wrk import LoadRun


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    seconds: int  # of a turn under load
    requests: int  # of a turn, one after the other
    changes: int  # of a turn


@dataclass(frozen=True, slots=True)
class Sustained:
    """Figures of one side under load; medians over its turns."""

    per_second: float  # requests
    processor_us: float  # of the server, a request
    runs: list[LoadRun]


@dataclass(frozen=True, slots=True)
class LoadComparison:
    """Both sides under load; the ratios are the service's advantage."""

    ours: Sustained
    theirs: Sustained
    times_the_rate: float
    times_by_processor: float | None  # None where ours is below the clock's tick


@dataclass(frozen=True, slots=True)
class TimeComparison:
    """Both sides asked one request at a time; the ratios are the service's advantage."""

    ours: Times
    theirs: Times
    times_faster: float  # at p50
    times_by_processor: float | None  # None where ours is below the clock's tick


@dataclass(frozen=True, slots=True)
class UnseenComparison(TimeComparison):
    """The same for unseen nodes; both sides use the same text encoder."""

    times_apart_from_encoder: float | None  # None where the encoder leaves no time of ours


class RivalResult(TypedDict):
    """Figures of one rival; what it does not offer is missing, and all if it cannot run here."""

    name: str
    about: str
    packages: NotRequired[dict[str, str]]  # versions
    agreement: NotRequired[dict[str, Agreement]]  # by sort of node
    stored: NotRequired[LoadComparison]
    unseen: NotRequired[UnseenComparison]
    unseen_loaded: NotRequired[LoadComparison]
    changes: NotRequired[TimeComparison]
    after_changes: NotRequired[Agreement]  # about the ends of a changed edge
    missing: NotRequired[str]  # why it was not measured


@dataclass(frozen=True, slots=True)
class PeersResults:
    graph: str  # of the bundle, in words
    plan: Plan
    encoder_ms: float  # median of the text encoder, which all share
    rivals: list[RivalResult]
