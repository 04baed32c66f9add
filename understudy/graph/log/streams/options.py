"""The address of a log in Redis, and the guarantees required of the server."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RedisLogOptions:
    """The options of a log in Redis, read once when it is opened.

    Attributes:
        url: such as redis://host:6379/0; may hold a password.
        allow_loss: accept, with a warning, a server configured to lose acknowledged writes.
        wait_disk: acknowledge once the server's disk has it (`WAITAOF`), for a server that
            synchronises only every second.
        wait_replicas: acknowledge once this many of the server's replicas have it (`WAIT`).
        records_kept: before the newest snapshot, for processes that start from an older one.
        bytes_kept: limit of those records; the oldest are deleted first.
        snapshots: URL of a store that fsspec supports, for processes without a snapshot; may hold a
            password.
    """

    url: str = field(repr=False)
    allow_loss: bool = False
    wait_disk: bool = False
    wait_replicas: int = 0
    records_kept: int = 100_000
    bytes_kept: int = 2**28
    snapshots: str = field(default="", repr=False)
