"""The messages between the supervisor and its workers."""

from msgspec import Struct

from service.telemetry.figures import Figures


class Served(Struct, frozen=True):
    """What a worker serves; it must be the same for all workers.

    Attributes:
        model_version: of the bundle.
        descriptions: digest of the label descriptions in its prompts.
    """

    model_version: str
    descriptions: str = ""


class Loaded(Struct, frozen=True):
    """Reports that a worker has loaded its bundle, and waits for permission to serve.

    Attributes:
        served: what it will serve.
        keys: whether callers need a key.
        example: the body of a question, as an argument of curl.
    """

    served: Served
    keys: bool
    example: str


class Refused(Struct, frozen=True):
    """Why a reload was refused.

    Attributes:
        running: whether another reload is running.
    """

    reason: str
    running: bool = False


class Done(Struct, frozen=True):
    """The result of a reload, of one worker or of all.

    Attributes:
        served: what is served from now on.
        seconds: duration.
    """

    served: Served
    previous_version: str
    seconds: float
    refused: Refused | None = None


class Scraped(Struct, frozen=True):
    """The metrics of all workers; see `service.telemetry.figures.MergedFigures`."""

    workers: dict[int, Figures]
    ended: Figures
    restarts: int
