"""A folder at a URL that fsspec supports: fetches and puts files."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from understudy.graph.errors import SnapshotStoreError


class RemoteFolder:
    """A remote folder, and the file system that reaches it."""

    def __init__(self, url: str, argument: str) -> None:
        """Finds the file system of the URL, without accessing it.

        Args:
            argument: the option that gave the URL, for messages.

        Raises:
            SnapshotStoreError: fsspec, or the package that it needs for the URL, is not installed;
                or the URL is invalid.
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
    def reaching(self, action: str) -> Iterator[None]:
        """Turns any error of the file system into ours.

        Raises:
            SnapshotStoreError: the store cannot be reached, or refuses.
        """
        try:
            yield
        except SnapshotStoreError:
            raise
        except Exception as error:  # every file system has its own errors
            words = str(error).strip().partition("\n")[0] or type(error).__name__
            raise SnapshotStoreError(
                f"{self.where} cannot be {action} ({self.argument}): {words}"
            ) from error

    def check_bucket(self) -> None:
        """Checks that the bucket exists, because a misspelt one would be created.

        Raises:
            SnapshotStoreError: it does not exist.
        """
        bucket = self.root.partition("/")[0]  # "" for stores that have folders instead of buckets
        if bucket and not self.files.exists(bucket):
            raise SnapshotStoreError(
                f"{self.where}: the bucket {bucket} does not exist; create it, or give another one "
                f"with {self.argument}"
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
        """Copies files of a folder to a path of the store, and writes one more file last.

        Args:
            last: name of the last file, which marks the copy as complete.
            text: content of that file.

        Raises:
            SnapshotStoreError: a file cannot be written.
        """
        with self.reaching("written"):
            for name in names:
                place = f"{path}/{name}"
                self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.files.put_file(str(folder / name), place)
            # The transaction makes the file appear as a whole, or not at all.
            with self.files.transaction, self.files.open(f"{path}/{last}", "wb") as stream:
                stream.write(text)


def names_outside(names: Iterable[str]) -> list[str]:
    """Finds names, listed by a store, that would lead out of the folder they are put in."""
    return [name for name in names if name.startswith("/") or ".." in name.split("/")]


def without_secrets(url: str) -> str:
    """Removes user name, password and query from a URL."""
    return re.sub("//[^@/]*@", "//", url).partition("?")[0]
