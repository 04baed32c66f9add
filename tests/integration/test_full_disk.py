"""A data folder on a file system that really runs full."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundles import NODES, TinyBundle
from tests.disks import small_file_system
from understudy.engine import Engine, Node
from understudy.engine.errors import JournalFailedError
from understudy.graph.errors import JournalError
from understudy.graph.mutations import UpsertNode

TEXT = "a long account of a small river, its fish and its bridges. " * 60


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=2) as folder:
        yield folder


def test_a_full_disk_is_told_and_loses_nothing(tiny_bundle: TinyBundle, small_disk: Path) -> None:
    with Engine.open(tiny_bundle.folder, data=small_disk) as engine:
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
    with Engine.open(tiny_bundle.folder, data=small_disk) as engine:
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
