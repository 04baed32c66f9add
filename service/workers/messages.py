"""The messages between the supervisor and its workers."""

from msgspec import Struct

from service.telemetry.figures import Figures


class Served(Struct, frozen=True):
    """What a worker's answers come from: all workers' have to come from the same.

    Attributes:
        model_version: of the bundle.
        descriptions: a digest of the lines in which its questions describe the labels.
    """

    model_version: str
    descriptions: str = ""


class Loaded(Struct, frozen=True):
    """A worker has its bundle, and serves once it is told to.

    Attributes:
        served: what its answers will come from.
        keys: whether callers need a key.
        example: the body of a question, as curl takes it.
    """

    served: Served
    keys: bool
    example: str


class Refused(Struct, frozen=True):
    """Why a reload cannot be done.

    Attributes:
        running: another one is.
    """

    reason: str
    running: bool = False


class Done(Struct, frozen=True):
    """A reload, of one worker or of all.

    Attributes:
        served: from now on.
        seconds: that it took.
    """

    served: Served
    previous_version: str
    seconds: float
    refused: Refused | None = None


class Scraped(Struct, frozen=True):
    """The figures of all; see `service.telemetry.figures.MergedFigures`."""

    workers: dict[int, Figures]
    ended: Figures
    restarts: int
