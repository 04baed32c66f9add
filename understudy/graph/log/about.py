"""The description of a log file: its graph, its first position, and its last one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.graph.errors import JournalDamagedError, JournalForeignError

FORMAT = "3"
# Format 1 had no tentative records; formats 1 and 2 identified the graph by its bundle.
READ_FORMATS = ("1", "2", FORMAT)
SHOWN = 12  # characters of a lineage in a message
CHECKSUM_BYTES = 32
NO_CHECKSUM = bytes(CHECKSUM_BYTES)  # before the first record
ADVICE = (
    "replace it with a copy, or move it and everything beside it away to start again with the "
    "bundle's graph"
)


@dataclass(frozen=True, slots=True)
class About:
    """The contents of the file's table `about`, one row per field.

    Attributes:
        lineage: of the graph that the records change; "" in a file of an older release.
        bundle: version of the bundle that it started from, which an older release's snapshots need.
        snapshot: name of the folder with the state before the records; "" for the bundle.
        number: of the last record before the journal.
        checksum: of that record.
        last: number of the last record that was written; None in a file of an older release.
        last_checksum: of that record.
    """

    lineage: str
    bundle: str = ""
    snapshot: str = ""
    number: int = 0
    checksum: bytes = NO_CHECKSUM
    last: int | None = 0
    last_checksum: bytes = NO_CHECKSUM

    def rows(self) -> dict[str, str]:
        """The rows of the table: name → value."""
        rows = {
            "format": FORMAT,
            "lineage": self.lineage,
            "bundle": self.bundle,
            "snapshot": self.snapshot,
            "number": str(self.number),
            "checksum": self.checksum.hex(),
        }
        if self.last is not None:
            rows |= {"last": str(self.last), "last_checksum": self.last_checksum.hex()}
        return rows


def parse_about(found: Mapping[object, object], path: Path) -> About:
    """Reads the rows of the table.

    Args:
        path: of the file, for messages.

    Raises:
        JournalForeignError: another release's format.
        JournalDamagedError: a row is missing, or its value is invalid.
    """
    rows = Rows(found, path)
    if rows.text("format") not in READ_FORMATS:
        raise JournalForeignError(
            f"{path} has journal format {rows.text('format')}, but this release reads only "
            f"{' and '.join(READ_FORMATS)}"
        )
    snapshot = rows.text("snapshot")
    if "/" in snapshot or snapshot.startswith("."):
        raise rows.damaged("snapshot")
    known = "last" in found or "last_checksum" in found
    return About(
        rows.text("lineage") if rows.text("format") == FORMAT else "",
        rows.text("bundle"),
        snapshot,
        rows.number("number"),
        rows.checksum("checksum"),
        rows.number("last") if known else None,
        rows.checksum("last_checksum") if known else NO_CHECKSUM,
    )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of the table, each checked when it is read."""

    found: Mapping[object, object]
    path: Path

    def text(self, name: str) -> str:
        value = self.found.get(name)
        if not isinstance(value, str):
            raise self.damaged(name)
        return value

    def number(self, name: str) -> int:
        value = self.text(name)
        if not (value.isascii() and value.isdecimal() and len(value) < 19):  # SQLite's range
            raise self.damaged(name)
        return int(value)

    def checksum(self, name: str) -> bytes:
        try:
            value = bytes.fromhex(self.text(name))
        except ValueError as error:
            raise self.damaged(name) from error
        if len(value) != CHECKSUM_BYTES:
            raise self.damaged(name)
        return value

    def damaged(self, name: str) -> JournalDamagedError:
        what = f"says {self.found[name]!r}" if name in self.found else "is missing"
        return JournalDamagedError(
            f"{self.path} is damaged: {name!r} in its table `about` {what}; {ADVICE}"
        )
