"""A cache in the process: the least recently used entries leave first.

By hand, since it is an `OrderedDict` with two bounds, and `functools.lru_cache` has neither bytes
nor age.
"""

from collections import OrderedDict
from time import monotonic


class MemoryCache:
    """Bytes by key, bounded in bytes and in age; not for several threads."""

    def __init__(self, max_bytes: int, seconds: float) -> None:
        self.max_bytes = max_bytes
        self.seconds = seconds
        self.entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.bytes = 0

    def get(self, key: str) -> bytes | None:
        entry = self.entries.get(key)
        if entry is None:
            return None
        if monotonic() > entry[0]:
            self.remove(key)
            return None
        self.entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: bytes) -> None:
        self.forget(key)
        size = entry_size(key, value)
        if size > self.max_bytes:
            return
        self.entries[key] = (monotonic() + self.seconds, value)
        self.bytes += size
        while self.bytes > self.max_bytes:
            self.remove(next(iter(self.entries)))

    def forget(self, key: str) -> None:
        """Removes an entry, if it is there."""
        if key in self.entries:
            self.remove(key)

    def remove(self, key: str) -> None:
        _, value = self.entries.pop(key)
        self.bytes -= entry_size(key, value)


ENTRY_BYTES = 200  # of Python's own around a key and a value


def entry_size(key: str, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES
