"""What can be plugged in, by name; ours are registered as others' are."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from training.errors import TrainingError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name, in the order in which they were registered."""

    def __init__(self, what: str) -> None:
        self.what, self.entries = what, dict[str, Entry]()

    def register(self, name: str, entry: Entry) -> None:
        """Adds an entry.

        Raises:
            TrainingError: the name is taken.
        """
        if name in self.entries:
            raise TrainingError(f"the {self.what} {name!r} exists already; choose another name")
        self.entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        """The entry of a name.

        Raises:
            TrainingError: nothing is registered by that name.
        """
        if name not in self.entries:
            known = ", ".join(self.entries)
            raise TrainingError(
                f"unknown {self.what} {name!r}; choose from {known}, or register it first "
                "(docs/extending.md)"
            )
        return self.entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)
