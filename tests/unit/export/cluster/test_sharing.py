"""Shards of ranges of nodes form one table; options of a cluster are checked first."""

from pathlib import Path

import numpy as np
import pytest

from export.passes import forgotten
from export.student.activations import node_ranges
from understudy import export
from understudy.cli import main
from understudy.cluster.errors import ClusterError
from understudy.graph.csr import build_adjacency


def write_shards(folder: Path, rows: list[int]) -> list[Path]:
    paths = []
    for number, count in enumerate(rows):
        paths.append(folder / f"{number}.npy")
        np.save(paths[-1], np.full((count, 3), number, np.float32))
    return paths


def test_shards_become_one_table_and_are_gone(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from export.cluster.sharing import joined_shards

    shards = write_shards(tmp_path, [2, 1])
    table = joined_shards(shards, 3, tmp_path / "table.npy")
    assert np.load(table).tolist() == [[0.0] * 3, [0.0] * 3, [1.0] * 3]
    assert list(tmp_path.iterdir()) == [table]
    forgotten([np.load(table, mmap_mode="r"), np.zeros((1, 1), np.float32)])
    assert not table.exists()


def test_a_shard_that_a_worker_wrote_elsewhere_is_told(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from export.cluster.sharing import joined_shards

    shards = [*write_shards(tmp_path, [2]), tmp_path / "elsewhere.npy"]
    with pytest.raises(ClusterError, match=r"a worker has written .*elsewhere.npy, which .* not"):
        joined_shards(shards, 4, tmp_path / "table.npy")


def test_a_worker_that_does_not_see_the_place_of_the_bundle_says_so(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from export.cluster.ranges import mapped

    with pytest.raises(ClusterError, match="have the place of the bundle and UNDERSTUDY_CACHE"):
        mapped(tmp_path / "nowhere" / "h0.npy")


def test_ranges_hold_all_nodes_once_and_a_hub_alone() -> None:
    hub = np.array([[0, node] for node in range(1, 9)])
    adjacency = build_adjacency(10, hub)[0]
    assert list(node_ranges(adjacency, 4, 6)) == [(0, 1), (1, 5), (5, 9), (9, 10)]


def test_what_is_said_of_a_cluster_is_checked_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClusterError, match="--workers needs --ray"):
        export(tmp_path / "student", tmp_path / "bundle", workers=2)
    for words, message in (
        (["export", "student", "bundle", "--workers", "2"], "--workers needs --ray"),
        (["export", "bundle", "--triton", "out", "--ray", "local"], "no bundle is written"),
        (["export", "--check", "bundle", "--ray", "local"], "leave --ray out"),
    ):
        with pytest.raises(SystemExit):
            main(words)
        assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())
