"""The files that an engine has mapped: whether they still hold what was opened and verified.

A mapped page that was not written to is the file's own. So who overwrites a bundle in place, as
`cp` and `rsync --inplace` do, changes what is answered under the old bundle's version, and what a
snapshot would keep. A folder that is replaced as a whole leaves the mapped files alone.
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

LOOK_SECONDS = 1.0  # between two looks
MAPPED = (".arrow", ".npy")  # endings of the files that are mapped
ADVICE = (
    "overwritten in place while it is served: start the service again, or reload where it is no "
    "file of the graph, and replace a bundle's folder as a whole"
)
UNREAD = (
    "cannot be looked at ({reason}), so that nobody can tell whether it holds what was opened: "
    "see to it that the service may read it; where it may again, it goes on"
)


class Stamp(NamedTuple):
    """What shows that a file was written to, or is another one."""

    device: int
    inode: int
    bytes: int
    written: int  # nanoseconds

    @property
    def file(self) -> tuple[int, int]:
        return self.device, self.inode


class Original:
    """One mapped file. While it is mapped, no other one on its file system has its number.

    Attributes:
        changed: whether it was ever found to hold something else. It stays so when the content is
            back: what was computed in between is not.
        unread: why it could not be looked at the last time; empty where it could.
    """

    def __init__(self, bundle: Bundle, name: str) -> None:
        """Looks at it; that it holds what the manifest says is for `verify_digests` to find.

        Raises:
            BundleDamagedError: the manifest does not list it, or it is not there.
        """
        self.name = name
        self.path = bundle.path(name)
        self.digest = bundle.manifest.files[name].sha256
        self.changed = False
        self.unread = ""
        with reading(bundle.folder):
            self.known = stamp_of(self.path.stat())

    def look(self) -> None:
        """Compares its digest, where it was written to since the last look."""
        if self.changed:
            return
        try:
            stamp = stamp_of(self.path.stat())
            if stamp != self.known and stamp.file == self.known.file:
                # Not of what is mapped: it may shrink at this moment.
                self.changed = file_digest(self.path) != self.digest
                self.known = stamp
            # Else it is as it was; or another one is in its place, and leaves it alone.
        except (FileNotFoundError, NotADirectoryError):
            pass  # it was moved or removed, which leaves what is mapped alone
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
        """What is wrong with it, in words; empty where nothing is."""
        if self.changed:
            return f"{self.name} was {ADVICE}"
        return f"{self.name} {UNREAD.format(reason=self.unread)}" if self.unread else ""


def stamp_of(found: os.stat_result) -> Stamp:
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Originals:
    """Looks after the mapped files of one engine, on a thread of its own and when asked.

    Attributes:
        damage: what is wrong with them, empty while nothing is; as of the last look.

    Args:
        bundle: from which graph and activations are mapped; None: from no file.

    Raises:
        BundleDamagedError: see `Original`.
    """

    def __init__(self, bundle: Bundle | None = None) -> None:
        self.files = [] if bundle is None else [Original(bundle, name) for name in mapped(bundle)]
        self.damage = ""
        self.lock = Lock()  # of looks: a digest is compared once
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
        """Sees that what is computed and kept is the opened bundle's.

        Raises:
            NotReadyError: a file was found to hold something else, or cannot be looked at.
        """
        self.look()
        if self.damage:
            raise NotReadyError(self.damage)

    def check_graph(self) -> None:
        """Sees that the graph is what was opened: another bundle may go on with that alone.

        Raises:
            NotReadyError: it is not.
        """
        self.look()
        for file in self.files:
            if file.damage and file.name.startswith(f"{GRAPH_FOLDER}/"):
                raise NotReadyError(file.damage)

    def end(self) -> None:
        """Has the thread end without waiting for it."""
        self.ended.set()


def watch(originals: "ref[Originals]", ended: Event) -> None:
    """Looks again and again; keeps nothing alive."""
    while not ended.wait(LOOK_SECONDS):
        alive = originals()
        if alive is None:
            return
        alive.look()
        del alive


def mapped(bundle: Bundle) -> list[str]:
    """The files of a bundle that an engine maps."""
    return [name for name in bundle.manifest.files if name.endswith(MAPPED)]
