"""How a log in Redis is reached, and what is asked of the server."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RedisLogOptions:
    """Read once, when the log is opened.

    Attributes:
        url: such as redis://host:6379/0; may hold a password.
        allow_loss: take a server that is set to lose what it acknowledged, with a warning.
        wait_disk: acknowledge once the server's disk has it (`WAITAOF`), where the server itself
            synchronises every second only.
        wait_replicas: acknowledge once so many of the server's replicas have it (`WAIT`).
        records_kept: behind the newest snapshot, for processes that start from an older one.
        bytes_kept: of those records at most; the older ones are forgotten first.
        snapshots: URL of a store that fsspec knows, for processes that start without one; may
            hold a password.
    """

    url: str = field(repr=False)
    allow_loss: bool = False
    wait_disk: bool = False
    wait_replicas: int = 0
    records_kept: int = 100_000
    bytes_kept: int = 2**28
    snapshots: str = field(default="", repr=False)
