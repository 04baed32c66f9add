"""Versioned containers: one writer overwrites in place while readers keep their version.

Shared data is held once, in its newest form. Before the writer overwrites a value, it notes the
old one in the undo of the version that it is leaving. A reader reads the newest value, and then
restores what was overwritten since its own version. So readers take no lock and never wait, a
change costs only what it touches, and old values are freed with the last reader of their version.

The interpreter's lock orders the two: a reader that saw a new value looks for the note after the
writer made it. If it finds no note, the value that it read first is right, however far the writer
has come.

This is written by hand because persistent collections would copy a path for every changed value,
and cannot hold arrays.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Numbers = NDArray[Any]


class Version:
    """One state of all shared data.

    Attributes:
        number: the number of batches of changes that led to it.
        undo: the values overwritten since, if any.
    """

    __slots__ = ("__weakref__", "number", "undo")

    def __init__(self, number: int) -> None:
        self.number = number
        self.undo: Undo | None = None

    def undos(self) -> Iterator["Undo"]:
        """The undos since this version, oldest first.

        The iteration ends at an undo that was incomplete when it was reached. The next version is
        looked up before the caller reads the notes; otherwise a value noted in between could be
        taken from a later step, which belongs to another version.
        """
        version: Version | None = self
        while version is not None and version.undo is not None:
            undo = version.undo
            following = undo.next
            yield undo
            version = following


class Undo:
    """The old values between one version and the next; `next` is set once it is complete."""

    __slots__ = ("maps", "next", "tables")

    def __init__(self) -> None:
        self.next: Version | None = None
        self.maps: dict[VersionedMap[Any, Any], dict[Any, Any]] = {}
        self.tables: dict[VersionedTable, list[tuple[NDArray[np.int64], Numbers]]] = {}

    def restore(self) -> None:
        """Puts every old value back; the notes stay, because readers of the version need them."""
        for table, notes in self.tables.items():
            for rows, old in reversed(notes):
                table.overwrite(rows, old)
        for versioned, old_values in self.maps.items():
            for key, value in old_values.items():
                versioned.overwrite(key, value)


class Entries(Protocol[Key, Value]):
    """The container of a map's newest entries: a dictionary, or an object that acts as one.

    Each method must be atomic with respect to other threads.
    """

    def get(self, key: Key, /) -> Value | None: ...

    def __setitem__(self, key: Key, value: Value, /) -> None: ...

    def pop(self, key: Key, default: None, /) -> Value | None: ...

    def copy(self) -> dict[Key, Value]: ...


class VersionedMap(Generic[Key, Value]):
    """A versioned dictionary; None means no entry. Keys must be plain types, hashed in C."""

    def __init__(self, current: Entries[Key, Value] | None = None) -> None:
        """Takes ownership of the given entries; starts empty by default."""
        empty: dict[Key, Value] = {}
        self.current: Entries[Key, Value] = empty if current is None else current

    def get(self, version: Version, key: Key) -> Value | None:
        value = self.current.get(key)  # read before the notes, see the module
        if version.undo is None:
            return value
        for undo in version.undos():
            notes = undo.maps.get(self)
            if notes is not None and key in notes:
                old: Value | None = notes[key]
                return old
        return value

    def get_all(self, version: Version, keys: Sequence[Key]) -> list[Value | None]:
        """The entries of some keys; None for missing ones."""
        if version.undo is None:
            values = list(map(self.current.get, keys))
            if version.undo is None:  # otherwise a change began meanwhile
                return values
        return [self.get(version, key) for key in keys]

    def put(self, undo: Undo, key: Key, value: Value | None) -> None:
        undo.maps.setdefault(self, {}).setdefault(key, self.current.get(key))
        self.overwrite(key, value)

    def overwrite(self, key: Key, value: Value | None) -> None:
        if value is None:
            self.current.pop(key, None)
        else:
            self.current[key] = value

    def items(self, version: Version) -> dict[Key, Value]:
        """A new dictionary of all entries at a version."""
        result: dict[Key, Value | None] = {**self.current.copy()}  # one atomic step
        for undo in reversed(list(version.undos())):
            result.update(undo.maps.get(self, {}).copy())
        return {key: value for key, value in result.items() if value is not None}

    def changed(self, version: Version) -> set[Key]:
        """The keys that were put since a version."""
        return {key for undo in version.undos() for key in undo.maps.get(self, {}).copy()}


class VersionedTable:
    """Versioned rows of numbers; rows may be appended.

    The first rows may be a private mapping of a file: rows that are not overwritten are never
    copied.

    Shapes:
        base: [N] or [N, width], writable; owned by the table from here on
    """

    def __init__(self, base: Numbers) -> None:
        if len(base) == 0:  # of an emptied graph; row 0 fills gathered neighbours, and must exist
            base = np.zeros((1, *base.shape[1:]), base.dtype)
        self.base = base
        self.split = len(base)
        self.grown = np.empty((0, *base.shape[1:]), base.dtype)  # appended rows and spare ones

    @property
    def width(self) -> int:
        return int(self.base.shape[1])

    def take(self, version: Version, rows: NDArray[np.integer]) -> Numbers:
        """A copy of some rows as they were at a version; [B] or [B, width]."""
        values = self.newest(rows)
        if version.undo is None:
            return values
        notes = [note for undo in version.undos() for note in undo.tables.get(self, ())]
        for noted, old in reversed(notes):  # the oldest is restored last
            position = np.searchsorted(noted, rows)
            position[position == len(noted)] = 0
            hit = noted[position] == rows
            values[hit] = old[position[hit]]
        return values

    def value(self, version: Version, row: int) -> int:
        """One row of a table of whole numbers [rows] at a version."""
        if version.undo is None:
            value = self.base[row] if row < self.split else self.grown[row - self.split]
            if version.undo is None:  # otherwise a change began meanwhile
                return int(value)
        return int(self.take(version, np.array([row]))[0])

    def newest(self, rows: NDArray[np.integer]) -> Numbers:
        """A copy of the newest values of some rows."""
        grown = self.grown
        if len(grown) == 0:
            return self.base.take(rows, axis=0)
        old = rows < self.split
        if old.all():
            return self.base.take(rows, axis=0)
        values = np.empty((len(rows), *self.base.shape[1:]), self.base.dtype)
        values[old] = self.base[rows[old]]
        values[~old] = grown[rows[~old] - self.split]
        return values

    def put(
        self,
        undo: Undo,
        rows: NDArray[np.int64],
        values: Numbers,
        old: Numbers | None = None,
    ) -> None:
        """Overwrites sorted, distinct rows, which may lie beyond the end.

        Args:
            old: the current values, if the caller has a copy of them.
        """
        if len(rows) == 0:
            return
        self.reserve(int(rows[-1]) + 1)
        undo.tables.setdefault(self, []).append((rows, self.newest(rows) if old is None else old))
        self.overwrite(rows, values)

    def overwrite(self, rows: NDArray[np.int64], values: Numbers) -> None:
        first = int(np.searchsorted(rows, self.split))
        self.base[rows[:first]] = values[:first]
        self.grown[rows[first:] - self.split] = values[first:]

    def reserve(self, rows: int) -> None:
        """Makes room for that many rows; readers keep the array that they have."""
        missing = rows - self.split - len(self.grown)
        if missing > 0:
            room = max(missing, len(self.grown), 64)
            more = np.zeros((room, *self.base.shape[1:]), self.base.dtype)
            self.grown = np.concatenate([self.grown, more])

    @property
    def memory_bytes(self) -> int:
        """Size of all rows, whether or not those of a mapped file have been read."""
        return int(self.base.nbytes + self.grown.nbytes)
