"""Checks that the files an engine has mapped still hold the verified content.

A mapped page that was not written to shows the file itself. Overwriting a bundle in place, as `cp`
and `rsync --inplace` do, would therefore change answers under the old bundle's version, and the
content of the next snapshot. Replacing the whole folder leaves the mapped files alone.
"""

import logging
import os
from threading import Event, Lock, Thread
from typing import NamedTuple
from weakref import finalize, ref

from understudy.bundle import Bundle
from understudy.bundle.reader import reading
from understudy.engine.errors import NotReadyError
from understudy.engine.state import GRAPH_FOLDER
from understudy.graph.files import file_digest

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two checks
MAPPED = (".arrow", ".npy")  # suffixes of mapped files
ADVICE = (
    "overwritten in place while it is served: restart the service (a reload is enough if it is not "
    "a file of the graph), and always replace a bundle's folder as a whole"
)
UNREAD = (
    "cannot be checked for changes ({reason}): let the service read it; it then continues by itself"
)


class Stamp(NamedTuple):
    """Identifies a file and its last write."""

    device: int
    inode: int
    bytes: int
    written: int  # nanoseconds

    @property
    def file(self) -> tuple[int, int]:
        return self.device, self.inode


class Original:
    """One mapped file. While it is mapped, its inode number is not reused.

    Attributes:
        changed: whether other content was ever found. It stays true when the old content returns,
            because results computed in between are wrong.
        unread: why the last check failed; empty if it succeeded.
    """

    def __init__(self, bundle: Bundle, name: str) -> None:
        """Records the file's stamp; `verify_digests` compares its content with the manifest.

        Raises:
            BundleDamagedError: the manifest does not list the file, or it does not exist.
        """
        self.name = name
        self.path = bundle.path(name)
        self.digest = bundle.manifest.files[name].sha256
        self.changed = False
        self.unread = ""
        with reading(bundle.folder):
            self.stamp = stamp_of(self.path.stat())

    def look(self) -> None:
        """Compares the file's digest, if it was written to since the last check."""
        if self.changed:
            return
        try:
            stamp = stamp_of(self.path.stat())
            if stamp != self.stamp and stamp.file == self.stamp.file:
                # Reads the file, not the mapping: the file may shrink at this moment.
                self.changed = file_digest(self.path) != self.digest
                self.stamp = stamp
            # Otherwise unchanged, or replaced by another file, which leaves the mapped one alone.
        except (FileNotFoundError, NotADirectoryError):
            pass  # moved or removed, which leaves the mapped file alone
        except OSError as error:
            reason = error.strerror or str(error)
            if reason != self.unread:
                logger.error("%s %s", self.path, UNREAD.format(reason=reason))
            self.unread = reason
            return
        self.unread = ""
        if self.changed:
            logger.error("%s was %s", self.path, ADVICE)

    @property
    def damage(self) -> str:
        """What is wrong with the file; empty if nothing is."""
        if self.changed:
            return f"{self.name} was {ADVICE}"
        return f"{self.name} {UNREAD.format(reason=self.unread)}" if self.unread else ""


def stamp_of(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Originals:
    """Checks the mapped files of one engine, in a background thread and on demand.

    Attributes:
        damage: what the last check found wrong; empty if nothing.

    Args:
        bundle: the bundle whose graph and activations are mapped; None: no file is mapped.

    Raises:
        BundleDamagedError: see `Original`.
    """

    def __init__(self, bundle: Bundle | None = None) -> None:
        self.files = [] if bundle is None else [Original(bundle, name) for name in mapped(bundle)]
        self.damage = ""
        self.lock = Lock()  # around a check, so that a digest is compared once
        self.ended = Event()
        finalize(self, self.ended.set)
        if self.files:
            arguments = (ref(self), self.ended)
            Thread(target=watch, args=arguments, name="originals", daemon=True).start()

    def look(self) -> None:
        with self.lock:
            for file in self.files:
                file.look()
            self.damage = next(filter(None, (file.damage for file in self.files)), "")

    def check(self) -> None:
        """Checks that computed and saved results come from the opened bundle.

        Raises:
            NotReadyError: a file's content changed, or a file cannot be read.
        """
        self.look()
        if self.damage:
            raise NotReadyError(self.damage)

    def check_graph(self) -> None:
        """Checks the graph's files only, which is enough for another bundle to continue with it.

        Raises:
            NotReadyError: the content of a file changed, or a file cannot be read.
        """
        self.look()
        for file in self.files:
            if file.damage and file.name.startswith(f"{GRAPH_FOLDER}/"):
                raise NotReadyError(file.damage)

    def end(self) -> None:
        """Tells the thread to end, without waiting for it."""
        self.ended.set()


def watch(originals: "ref[Originals]", ended: Event) -> None:
    """Checks the files periodically; a weak reference lets the engine be collected."""
    while not ended.wait(LOOK_SECONDS):
        alive = originals()
        if alive is None:
            return
        alive.look()
        del alive


def mapped(bundle: Bundle) -> list[str]:
    """Names the files of a bundle that an engine maps."""
    return [name for name in bundle.manifest.files if name.endswith(MAPPED)]
