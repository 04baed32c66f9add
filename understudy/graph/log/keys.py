"""The valid idempotency keys as of one position of a log: a part of the graph's state."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

KEYS_KEPT = 100_000  # newest first; older ones count as new again


@dataclass(frozen=True, slots=True)
class KeyedBatch:
    """The batch that an idempotency key stands for."""

    number: int
    digest: bytes  # of its payload


class Keys:
    """The keys of the newest accepted batches, independent of how batches were grouped.

    When there are too many, the oldest key is dropped with each new batch. So processes that apply
    the same records in other groups know the same keys at every record.
    """

    def __init__(self) -> None:
        self.known: OrderedDict[str, KeyedBatch] = OrderedDict()
        self.steps: list[tuple[str, KeyedBatch | None, tuple[str, KeyedBatch] | None]] = []

    def find(self, key: str | None) -> KeyedBatch | None:
        """The batch that came with a key, or None."""
        return None if key is None else self.known.get(key)

    def begin(self) -> None:
        """Sets the state that `take_back` restores."""
        self.steps.clear()

    def add(self, key: str, known: KeyedBatch) -> None:
        """Adds the newest batch, and drops the oldest if there are too many."""
        before = self.known.pop(key, None)
        self.known[key] = known
        oldest = self.known.popitem(last=False) if len(self.known) > KEYS_KEPT else None
        self.steps.append((key, before, oldest))

    def take_back(self) -> None:
        """Undoes everything since `begin`; a key that had occurred twice becomes the oldest."""
        for key, before, oldest in reversed(self.steps):
            del self.known[key]
            for lost in [(key, before), oldest]:
                if lost is not None and lost[1] is not None:
                    self.known[lost[0]] = lost[1]
                    self.known.move_to_end(lost[0], last=False)
        self.steps.clear()

    def copy(self) -> "Keys":
        other = Keys()
        other.known = self.known.copy()
        return other

    def rows(self, number: int) -> Iterator[tuple[str, int, bytes]]:
        """Key, number and digest of the batches up to a number, oldest first."""
        for key, known in self.known.items():
            if known.number > number:
                return
            yield key, known.number, known.digest
