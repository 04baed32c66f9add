"""A data folder on a file system that really runs full."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles import NODES, TinyBundle
from tests.disks import small_file_system
from understudy.engine import Engine, Node
from understudy.engine.backup import make_backup, restore_backup
from understudy.engine.errors import JournalFailedError
from understudy.folders import OutputUnwritableError
from understudy.graph.errors import JournalError
from understudy.graph.mutations import UpsertNode
from understudy.graph.snapshot import FILES as SNAPSHOT_FILES

TEXT = "a long account of a small river, its fish and its bridges. " * 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=2) as folder:
        yield folder


def test_a_full_disk_is_told_and_loses_nothing(tiny_bundle: TinyBundle, small_disk: Path) -> None:
    data = small_disk / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        kept, problem = fill(engine)
        assert "make room" in problem
        assert kept > 50
        # It still answers, with what was acknowledged and nothing else.
        assert engine.state.graph.num_nodes == NODES + kept
        answer = engine.classify([Node(id=f"new-{kept - 1}"), Node(id=f"new-{kept}")])
        assert answer[0].error is None
        assert answer[1].error is not None
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    with pytest.raises(JournalError, match="No space left on device; make room on its disk"):
        Engine.open(tiny_bundle.folder, data=small_disk / "other")
    filler.unlink()
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        assert engine.state.graph.num_nodes == NODES + kept
        assert engine.classify([Node(id=f"new-{kept - 1}")])[0].error is None


def fill(engine: Engine) -> tuple[int, str]:
    """Adds nodes until one is refused: how many were acknowledged, and the refusal."""
    for kept in range(10_000):
        try:
            engine.apply([UpsertNode(f"new-{kept}", text=TEXT)])
        except JournalFailedError as error:
            return kept, str(error)
    raise AssertionError("the disk never ran full")


ROOM = "are free there", "no space is left there", "make room on its disk"  # in every refusal
# In a process of its own, which what is wrong here would end (SIGBUS).
FEWER_PAGES = """
import shutil, sys
from pathlib import Path
from mmap import PAGESIZE

from understudy.engine import Engine
from understudy.engine.errors import JournalFailedError
from understudy.graph.mutations import UpsertNode

bundle, disk = map(Path, sys.argv[1:])
ballast, data = disk / "ballast", disk / "data"
with Engine.open(bundle, data=data) as engine:
    engine.apply([UpsertNode("new", "a small bridge")])
    for pages in range(200):
        ballast.unlink(missing_ok=True)
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - pages * PAGESIZE))
        try:
            engine.snapshot()
        except JournalFailedError as error:
            print(error)
            assert {path.name for path in data.glob("*snapshot-*")} <= {"snapshot-0"}
        else:
            break
    ballast.unlink()
    engine.apply([UpsertNode("newer", "a large bridge")])
"""


def test_a_snapshot_without_room_is_told_at_whatever_file(
    tiny_bundle: TinyBundle, small_disk: Path
) -> None:
    command = [sys.executable, "-c", FEWER_PAGES, str(tiny_bundle.folder), str(small_disk)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) > len(SNAPSHOT_FILES)
    for line in lines:
        assert line.startswith("the snapshot could not be written: ")
        assert any(words in line for words in ROOM)
    assert any("are free there" in line for line in lines)
    with Engine.open(tiny_bundle.folder, data=small_disk / "data") as engine:
        assert engine.snapshots is not None
        assert engine.writer.log.snapshot == "snapshot-1"
        assert engine.state.graph.num_nodes == NODES + 2


def test_the_full_disk_is_named_where_a_log_is_copied(
    tiny_bundle: TinyBundle, small_disk: Path, tmp_path: Path
) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        for number in range(40):
            engine.apply([UpsertNode(f"new-{number}", text=TEXT * 20)])
    make_backup(data, kept)
    with pytest.raises(OutputUnwritableError, match=r"^\S+/disk/kept cannot be written: no space"):
        make_backup(data, small_disk / "kept")
    with pytest.raises(JournalError, match=r"^cannot use \S+/disk/data/\S+: No space left"):
        restore_backup(kept, small_disk / "data")
    restore_backup(kept, tmp_path / "again")


def test_the_full_disk_is_named_where_a_log_is_copied_from(
    tiny_bundle: TinyBundle, small_disk: Path, tmp_path: Path
) -> None:
    data, ballast = small_disk / "data", small_disk / "ballast"
    Engine.open(tiny_bundle.folder, data=data).close()
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(JournalError, match=rf"^cannot use {data}\S+: No space left .*; make room"):
        make_backup(data, tmp_path / "kept")
    ballast.unlink()
    make_backup(data, tmp_path / "kept")
