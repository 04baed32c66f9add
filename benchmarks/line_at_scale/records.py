"""The content of results/line_at_scale.json."""

from typing import Literal, NotRequired, TypedDict

Figure = Literal["processor_seconds", "peak_bytes", "disk_bytes"]
Sort = Literal["stored", "unseen", "changes"]
SortAgain = Literal["stored again", "unseen again", "changes again"]


class Cost(TypedDict):
    """The cost of a stage, measured or planned."""

    processor_seconds: int | float
    peak_bytes: int | float
    disk_bytes: int | float


class RequestTimes(TypedDict):
    """Milliseconds of requests that are sent one after the other."""

    p50: float
    p99: NotRequired[float]
    processor_ms: float  # of the server, per request
    requests: NotRequired[int]
    least: NotRequired[float]


StageFigures = TypedDict(
    "StageFigures",
    {
        "seconds": int | float,
        "processor_seconds": int | float,
        "peak_bytes": int,
        "anonymous_bytes": NotRequired[int],  # of the service, without pages of mapped files
        "disk_bytes": int,
        "val_accuracy": NotRequired[float],  # this and the next ones: of the student
        "test_accuracy": NotRequired[float],
        "epochs": NotRequired[int | float],
        "epoch_seconds": NotRequired[float],
        "stored": NotRequired[RequestTimes],  # this and the next ones: of the service
        "stored again": NotRequired[RequestTimes],
        "unseen": NotRequired[RequestTimes],
        "unseen again": NotRequired[RequestTimes],
        "changes": NotRequired[RequestTimes],
        "changes again": NotRequired[RequestTimes],
    },
)


class Size(TypedDict):
    """The figures of one size of the graph."""

    stages: dict[str, StageFigures]
    nodes: int
    edges: int
    labeled: NotRequired[float]  # share of nodes
    hidden: NotRequired[int]
    epochs: NotRequired[int]
    planned: NotRequired[dict[str, Cost]]


class LineResults(TypedDict):
    sizes: dict[str, Size]  # by the number of nodes
