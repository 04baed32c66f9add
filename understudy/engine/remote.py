"""A folder at a URL that fsspec knows: what lies there is fetched and put, file by file."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.graph.errors import SnapshotStoreError


class RemoteFolder:
    """The folder, and how it is reached."""

    def __init__(self, url: str, argument: str) -> None:
        """Finds what reaches the URL; asks nothing there yet.

        Args:
            argument: that the URL was given as, for messages.

        Raises:
            SnapshotStoreError: fsspec, or the package that it needs for the URL, is not installed;
                or it is no URL.
        """
        self.where = f"the store {without_secrets(url)}"
        self.argument = argument
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError as error:
            raise SnapshotStoreError(
                f"{argument} needs fsspec, which is not installed: "
                "pip install 'understudy-gnn[snapshots]'"
            ) from error
        with self.reaching("used"):
            found, root = url_to_fs(url)
        self.files: Any = found  # fsspec has no types
        self.root = root.rstrip("/")

    @contextmanager
    def reaching(self, what: str) -> Iterator[None]:
        """Turns errors of whatever reaches the store into ours.

        Raises:
            SnapshotStoreError: it cannot be reached, or refuses.
        """
        try:
            yield
        except SnapshotStoreError:
            raise
        except Exception as error:  # every kind of store has errors of its own
            told = str(error).strip().partition("\n")[0]
            raise SnapshotStoreError(
                f"{self.where} cannot be {what} ({self.argument}): {told or type(error).__name__}"
            ) from error

    def check_bucket(self) -> None:
        """Sees that there is a bucket: one of a misspelt name would be made, and filled.

        Raises:
            SnapshotStoreError: there is none.
        """
        bucket = self.root.partition("/")[0]  # "" where there are folders in place of buckets
        if bucket and not self.files.exists(bucket):
            raise SnapshotStoreError(
                f"{self.where}: there is no bucket {bucket}; make it, or name another one with "
                f"{self.argument}"
            )

    def fetch(self, path: str, names: Iterable[str], folder: Path) -> None:
        """Copies files from below a path of the store into a folder.

        Raises:
            SnapshotStoreError: one cannot be read.
            OSError: the folder cannot be written.
        """
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with self.reaching("read"):
                self.files.get_file(f"{path}/{name}", str(folder / name))

    def send(self, folder: Path, names: Iterable[str], path: str, last: str, text: bytes) -> None:
        """Copies files of a folder to a path of the store; what lacks the last one is not there.

        Args:
            last: name of a file that is written when all others are there.
            text: what it holds.

        Raises:
            SnapshotStoreError: one cannot be written.
        """
        with self.reaching("written"):
            for name in names:
                place = f"{path}/{name}"
                self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.files.put_file(str(folder / name), place)
            # Where it appears as a whole, or not at all.
            with self.files.transaction, self.files.open(f"{path}/{last}", "wb") as stream:
                stream.write(text)


def names_outside(names: Iterable[str]) -> list[str]:
    """Of names that a store told, those that would lead out of the folder that they are put in."""
    return [name for name in names if name.startswith("/") or ".." in name.split("/")]


def without_secrets(url: str) -> str:
    """A URL without the name and password in it, and without its query."""
    return re.sub("//[^@/]*@", "//", url).partition("?")[0]
