"""Fetches the package index of Debian or Ubuntu with apt into a private folder, without root."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.graph.errors import SourceError
from understudy.progress import Progress, silent

HELPERS = ("/usr/lib/apt/apt-helper", "/usr/libexec/apt/apt-helper")
UPDATE_TIMEOUT = 600  # seconds


@dataclass(frozen=True)
class IndexFile:
    """One list of the index, as apt stores it (often compressed)."""

    path: Path
    kind: str  # "Packages" or "Translations"
    architecture: str = ""


@dataclass(frozen=True)
class AptIndex:
    """The files of a fetched index."""

    packages: tuple[IndexFile, ...]
    translations: tuple[IndexFile, ...]
    release: str  # for example "Debian 12.1 bookworm"


def fetch_index(folder: Path, offline: bool = False, progress: Progress = silent) -> AptIndex:
    """Updates the index in `folder` and lists its files.

    Args:
        offline: use what an earlier call has fetched.

    Raises:
        SourceError: apt is missing, it failed, or nothing was fetched yet.
    """
    if shutil.which("apt-get") is None:
        raise SourceError(
            "there is no apt-get on this machine: the Debian graph needs Debian or Ubuntu; "
            "elsewhere use `understudy data synthetic`"
        )
    problem = ""
    if not offline:
        prepare(folder)
        progress("fetch the apt index", 0, 1)
        problem = update(folder)
        progress("fetch the apt index", 1, 1)
    index = list_index(folder) if folder.is_dir() else None
    if index is None and offline:
        raise SourceError(f"no apt index in {folder} yet; run once without --offline")
    if index is None:
        problem = problem or "it has no sources; see /etc/apt/sources.list.d"
        raise SourceError(f"apt-get update fetched no package index: {problem}")
    return index


def prepare(folder: Path) -> None:
    try:
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(
            f"cannot write the cache folder {folder}: {error.strerror}; set UNDERSTUDY_CACHE to a "
            "writable folder"
        ) from error


def options(folder: Path) -> list[str]:
    """apt options that keep it away from the system's state."""
    settings = (
        f"Dir::State={folder}",
        "Dir::State::status=/var/lib/dpkg/status",
        f"Dir::Cache={folder / 'cache'}",
        "Acquire::Languages=en",
        # As root, apt would switch to a user without access to root's home, and warn about it.
        "APT::Sandbox::User=root",
    )
    return [part for setting in settings for part in ("-o", setting)]


def run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    """Runs a command with untranslated messages.

    Raises:
        SourceError: it cannot be started or takes too long.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=UPDATE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"{command[0]} failed: {error}") from error


def update(folder: Path) -> str:
    """Runs apt-get update; returns its first complaint, which may be harmless.

    A hook that needs root, or one of several sources, may fail although the lists arrive; only the
    presence of lists matters.
    """
    result = run(["apt-get", "-q", *options(folder), "update"])
    lines = result.stderr.decode("utf-8", "replace").splitlines()
    complaints = [line for line in lines if line.startswith(("E:", "W:", "Err:"))]
    errors = [line for line in complaints if line.startswith("E:")] or complaints
    return errors[0] if errors else ("" if result.returncode == 0 else "unknown error")


def list_index(folder: Path) -> AptIndex | None:
    """The present files; None without any list of packages."""
    fields = "$(CREATED_BY)|$(ARCHITECTURE)|$(ORIGIN)|$(VERSION)|$(CODENAME)|$(FILENAME)"
    result = run(["apt-get", *options(folder), "indextargets", "--format", fields])
    files: dict[str, list[IndexFile]] = {"Packages": [], "Translations": []}
    releases = []
    for line in result.stdout.decode("utf-8", "replace").splitlines():
        kind, architecture, *release, name = line.split("|", 5)
        if kind in files and Path(name).is_file():
            files[kind].append(IndexFile(Path(name), kind, architecture))
            releases.append(" ".join(part for part in release if part))
    if not files["Packages"]:
        return None
    return AptIndex(tuple(files["Packages"]), tuple(files["Translations"]), releases[0])


def read_index_file(path: Path) -> Iterator[str]:
    """Yields the stanzas of a list, decompressed by apt's own helper.

    Raises:
        SourceError: the helper is missing, or fails.
    """
    helper = next((name for name in HELPERS if Path(name).is_file()), None)
    if helper is None:
        raise SourceError(f"apt-helper is missing (looked in {', '.join(HELPERS)}); update apt")
    result = run([helper, "cat-file", str(path)])
    if result.returncode:
        complaint = result.stderr.decode("utf-8", "replace").strip()
        raise SourceError(f"{path}: cannot be unpacked: {complaint}; delete it and fetch again")
    # An index is UTF-8 by policy; a stray byte must not make the whole graph fail.
    text = result.stdout.decode("utf-8", "replace")
    return (stanza for stanza in text.split("\n\n") if stanza.strip())
