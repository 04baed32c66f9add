"""Points of accuracy and latency, and the content of results/plane.json."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """One way to answer; accuracies in percent, latencies in milliseconds."""

    name: str
    family: str  # teacher, or the student's text encoder
    student: str  # the network; empty for a teacher
    taught: bool
    accuracy: float
    low: float | None  # of the interval of the mean; None of one split
    high: float | None
    splits: int
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class PlaneResults:
    title: str  # graph, labels and splits
    latency: str  # which latencies, in words
    points: list[Point]
    without_accuracy: dict[str, float]  # p50 in milliseconds of models, by name
