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
        self.batches: OrderedDict[str, KeyedBatch] = OrderedDict()
        self.steps: list[tuple[str, KeyedBatch | None, tuple[str, KeyedBatch] | None]] = []

    def find(self, key: str | None) -> KeyedBatch | None:
        """The batch that came with a key, or None."""
        return None if key is None else self.batches.get(key)

    def begin(self) -> None:
        """Sets the state that `take_back` restores."""
        self.steps.clear()

    def add(self, key: str, known: KeyedBatch) -> None:
        """Adds the newest batch, and drops the oldest if there are too many."""
        before = self.batches.pop(key, None)
        self.batches[key] = known
        oldest = self.batches.popitem(last=False) if len(self.batches) > KEYS_KEPT else None
        self.steps.append((key, before, oldest))

    def take_back(self) -> None:
        """Undoes everything since `begin`; a key that had occurred twice becomes the oldest."""
        for key, before, oldest in reversed(self.steps):
            del self.batches[key]
            for lost in [(key, before), oldest]:
                if lost is not None and lost[1] is not None:
                    self.batches[lost[0]] = lost[1]
                    self.batches.move_to_end(lost[0], last=False)
        self.steps.clear()

    def copy(self) -> "Keys":
        other = Keys()
        other.batches = self.batches.copy()
        return other

    def rows(self, number: int) -> Iterator[tuple[str, int, bytes]]:
        """Key, number and digest of the batches up to a number, oldest first."""
        for key, known in self.batches.items():
            if known.number > number:
                return
            yield key, known.number, known.digest
