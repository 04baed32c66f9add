"""A folder is replaced whole, or not at all."""

import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.disks import mounted as mounted_on
from tests.disks import small_file_system
from tests.folder_samples import write_graph
from understudy.folders import (
    OutputBusyError,
    OutputRefusedError,
    OutputUnwritableError,
    atomic_folder,
    check_output,
    reserved,
    unfinished_folder,
)
from understudy.folders.kinds import GRAPH
from understudy.folders.workplace import MARK

ROOT = Path(__file__).parents[3]


def another_graph(folder: Path) -> None:
    """Writes a graph folder that is known by its missing edges."""
    write_graph(folder)
    (folder / "edges.parquet").unlink()


def failing_half_way(folder: Path) -> None:
    (folder / "half").write_text("x")
    raise ZeroDivisionError


def replace(out: Path, fill: Callable[[Path], object] = another_graph) -> None:
    with atomic_folder(out) as folder:
        fill(folder)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


NEW = {"meta.json", "nodes.parquet"}
OLD = {"meta.json", "nodes.parquet", "edges.parquet"}


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "mounted on", megabytes=1) as folder:
        yield folder


@pytest.fixture
def bound(tmp_path: Path) -> Iterator[Path]:
    """A folder that is mounted at a second place, of the same file system."""
    folder = tmp_path / "bound"
    (tmp_path / "volume").mkdir()
    with mounted_on(folder, ["--bind", str(tmp_path / "volume")]):
        yield folder


def test_a_place_without_room_is_free_once_there_is_some(mounted: Path) -> None:
    ballast = mounted / "ballast"
    reports: list[str] = []
    while not (mounted / "graph").exists():
        free = shutil.disk_usage(mounted).free
        ballast.write_bytes(bytes(free - len(reports) * mmap.PAGESIZE))
        try:
            replace(mounted / "graph", write_graph)
        except OutputUnwritableError as error:
            reports.append(str(error))
        assert names(mounted) <= {"ballast", "graph"}
        ballast.unlink()
    assert len(reports) > 1
    assert all(line.endswith("no space is left there") for line in reports)


def test_a_folder_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    graph.chmod(0o700)
    with atomic_folder(graph) as folder:
        shutil.copytree(write_graph(tmp_path / "other"), folder, dirs_exist_ok=True)
        assert names(graph) == OLD
    shutil.rmtree(tmp_path / "other")
    replace(graph)
    assert names(graph) == NEW
    assert names(tmp_path) == {"graph"}
    assert graph.stat().st_mode & 0o777 == 0o700  # what was private stays so


def test_the_old_folder_stays_if_the_block_fails(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    with pytest.raises(ZeroDivisionError):
        replace(graph, failing_half_way)
    assert names(graph) == OLD
    assert names(tmp_path) == {"graph"}


def test_a_users_file_is_kept_also_if_it_comes_while_the_work_is_done(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")

    def meanwhile(folder: Path) -> None:
        write_graph(folder)
        (graph / "notes.txt").write_text("mine")

    with pytest.raises(OutputRefusedError, match=r"notes\.txt"):
        replace(graph, meanwhile)
    assert names(graph) == OLD | {"notes.txt"}
    with pytest.raises(OutputRefusedError, match=r"notes\.txt"):
        replace(graph, failing_half_way)  # which is not reached


def test_a_link_stays_a_link_and_its_folder_is_replaced(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "far" / "graph")
    (tmp_path / "link").symlink_to(graph)
    replace(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert names(graph) == NEW
    (tmp_path / "ahead").symlink_to(tmp_path / "far" / "later")
    replace(tmp_path / "ahead")
    assert (tmp_path / "ahead").is_symlink()
    assert names(tmp_path / "far") == {"graph", "later"}


def check_mount(folder: Path) -> None:
    """An output at a mount point: written to while empty, then replaced."""
    check_output(folder, GRAPH)
    with atomic_folder(folder) as inner:
        write_graph(inner)
    assert names(folder) == OLD
    check_output(folder, GRAPH)
    with pytest.raises(ZeroDivisionError):
        replace(folder, failing_half_way)
    assert names(folder) == OLD
    (folder / "lost+found").mkdir()
    replace(folder)
    assert names(folder) == NEW | {"lost+found"}
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputRefusedError, match=r"notes\.txt"):
        replace(folder)
    assert names(folder) == NEW | {"lost+found", "notes.txt"}


def test_the_content_of_a_mount_point_is_replaced(mounted: Path) -> None:
    check_mount(mounted)
    assert names(mounted.parent) == {mounted.name}


def test_a_mounted_part_of_the_same_file_system_passes_the_check(bound: Path) -> None:
    check_mount(bound)


def test_a_full_disk_is_told_in_a_line_and_the_old_folder_stays(mounted: Path) -> None:
    graph = write_graph(mounted / "graph")
    with pytest.raises(OutputUnwritableError, match="no space is left there"):
        replace(graph, lambda folder: (folder / "nodes.parquet").write_bytes(bytes(2 << 20)))
    assert names(mounted) == {"graph"}
    assert names(graph) == OLD
    (mounted / "ballast").write_bytes(bytes((1 << 20) - (32 << 10)))
    with pytest.raises(OutputUnwritableError, match="no space is left there"):
        check_output(graph, GRAPH)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EPERM])
def test_what_cannot_be_renamed_is_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    graph = write_graph(tmp_path / "graph")
    rename = Path.rename

    def refusing(path: Path, target: Path) -> Path:
        if graph in (path, target):
            raise OSError(number, os.strerror(number))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refusing)
    replace(graph)
    assert names(graph) == NEW
    assert names(tmp_path) == {"graph"}


def test_what_fails_half_way_is_put_back_or_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = write_graph(tmp_path / "graph")
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if target == graph and path.name == "whole":
            raise OSError(errno.EIO, "broken disk")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputUnwritableError, match="disk reports an error"):
        replace(graph)
    assert names(graph) == OLD
    assert names(tmp_path) == {"graph"}


KILLED: dict[str, Callable[[Path], str]] = {
    "while writing": lambda _: "(folder / 'half').write_text('x'); die()",
    "between the renames": lambda out: f"write_graph(folder); at_rename({str(out)!r}, 'whole')",
    "after the renames": lambda _: "write_graph(folder); at_rename(None, 'gone')",
}
SCRIPT = """
import os, shutil, signal, sys
from pathlib import Path
from understudy.folders import atomic_folder
from tests.folder_samples import write_graph

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def at_rename(place, name):
    rename = Path.rename
    def dying(path, target):
        if path.name == name and place in (None, str(target)) or path.parent.name == name:
            die()
        return rename(path, target)
    Path.rename = dying
    if name == 'gone':
        shutil.rmtree = die

with atomic_folder(Path(sys.argv[1])) as folder:
    {work}
    (folder / 'edges.parquet').unlink()
"""


def kill_in(work: str, out: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(work=work), str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert run.returncode == -signal.SIGKILL


@pytest.mark.parametrize("moment", KILLED)
def test_what_a_killed_process_left_is_finished_or_removed(tmp_path: Path, moment: str) -> None:
    graph = write_graph(tmp_path / "graph")
    kill_in(KILLED[moment](graph), graph)
    assert any(MARK in name for name in names(tmp_path))
    check_output(graph, GRAPH)
    assert names(graph) == (OLD if moment == "while writing" else NEW)
    assert names(tmp_path) == {"graph"}


@pytest.mark.parametrize("part", ["while writing", "old aside", "new in", "after"])
def test_what_a_killed_process_left_at_a_mount_point_is_finished_or_removed(
    mounted: Path, part: str
) -> None:
    write_graph(mounted)
    works = {
        "while writing": "(folder / 'half').write_text('x'); die()",
        "old aside": f"write_graph(folder); at_rename({str(mounted)!r}, 'whole')",
        "new in": "write_graph(folder); at_rename('', 'placing')",
        "after": "write_graph(folder); at_rename(None, 'gone')",
    }
    if part == "old aside":  # the first of the old entries has moved
        works[part] = (
            "write_graph(folder); rename = Path.rename; "
            "Path.rename = lambda path, target: die() if target.parent.name == 'old' and "
            "any(target.parent.iterdir()) else rename(path, target)"
        )
    kill_in(works[part], mounted)
    check_output(mounted, GRAPH)
    assert names(mounted) == (OLD if part == "while writing" else NEW)


def test_a_living_process_is_left_alone_and_told(tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    with atomic_folder(graph) as folder:
        write_graph(folder)
        with pytest.raises(OutputBusyError, match=f"another process .{os.getpid()}."):
            check_output(graph, GRAPH)
        with pytest.raises(OutputBusyError, match="wait for it, or choose another folder"):
            replace(graph)
    assert names(graph) == OLD
    assert names(tmp_path) == {"graph"}


def test_what_is_reserved_is_for_this_process_alone(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    code = "import sys; from pathlib import Path; from understudy.folders import atomic_folder\n"
    code += "with atomic_folder(Path(sys.argv[1])): pass"

    def another_process() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", code, str(graph)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    with reserved(graph):
        check_output(graph, GRAPH)
        replace(graph)
        assert "OutputBusyError" in another_process().stderr
        assert names(graph) == NEW
    assert another_process().returncode == 0
    assert names(tmp_path) == {"graph"}


def test_folders_that_only_look_like_ours_are_kept(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    alike = [f".graph{MARK}abcdefgh", f".graph{MARK}abcdefghi", ".graph.abcdefgh", ".graph.old"]
    for name in alike:
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("mine")
    replace(graph)
    assert names(tmp_path) == {"graph", *alike}


def test_two_at_once_both_end_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = write_graph(tmp_path / "graph")
    rename = Path.rename
    overtakers: list[str] = []

    def overtaken(path: Path, target: Path) -> Path:
        if target == graph and path.name == "whole" and "graph" not in overtakers:
            overtakers.append(write_graph(graph).name)  # by another process, at this very moment
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    replace(graph)
    assert overtakers
    assert names(graph) == NEW
    assert names(tmp_path) == {"graph"}


def test_unfinished_work_lies_where_it_can_be_written(tmp_path: Path, mounted: Path) -> None:
    digest = "0123456789abcdef"
    assert unfinished_folder(tmp_path / "t", digest) == tmp_path / ".t.0123456789ab"
    work = unfinished_folder(mounted, digest)
    assert work == mounted / f".{mounted.name}.0123456789ab"
    work.mkdir()
    (work / "tuning").write_text("hours")
    check_output(mounted, GRAPH)
    replace(mounted)
    assert names(mounted) == NEW | {work.name}  # it is the owner's to remove
