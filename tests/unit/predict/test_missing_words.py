"""A single neighbour that is a word for a missing value means none, unless a node has it as id."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from tests.bundles import TinyBundle
from tests.predicting import Ended, table
from understudy.bundle import Manifest, open_bundle, write_bundle
from understudy.graph.snapshot import save_snapshot

ROWS = (
    "id,text,neighbors\na,http socket,NA\nb,http socket,null\nc,http socket,\n"
    "d,http socket,NA;node-2\ne,,NA\n"
)


def test_a_lone_word_is_a_neighbour_where_a_node_is_called_so(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    ids = tiny_bundle.graph.ids.to_pylist()
    named = replace(tiny_bundle.graph, ids=pa.array(["NA", *ids[1:]], pa.large_string()))

    def fill(target: Path) -> Manifest:
        shutil.copytree(tiny_bundle.folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        save_snapshot(named, target / "graph")
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(tmp_path / "bundle", fill)
    (tmp_path / "in.csv").write_text(ROWS)
    assert call(tmp_path / "bundle", tmp_path / "in.csv", tmp_path / "named.csv")[0] == 0
    answers = {row["id"]: row for row in table(tmp_path / "named.csv")}
    (tmp_path / "same.csv").write_text(f"id,text,neighbors\na,http socket,{ids[0]}\n")
    call(tiny_bundle.folder, tmp_path / "same.csv", tmp_path / "other.csv")
    (other,) = table(tmp_path / "other.csv")
    assert answers["a"]["score"] == other["score"] != answers["c"]["score"]
    assert answers["b"]["score"] == answers["c"]["score"]
    assert answers["d"]["error"] == ""
    assert answers["e"]["error"].startswith("unknown_node")


def test_a_lone_word_is_no_neighbour_where_no_node_is_called_so(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text(ROWS)
    assert call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "out.csv")[0] == 0
    answers = {row["id"]: row for row in table(tmp_path / "out.csv")}
    assert answers["a"]["score"] == answers["b"]["score"] == answers["c"]["score"]
    assert answers["d"]["error"].startswith("unknown_neighbor")
