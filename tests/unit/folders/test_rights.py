"""Owner and permissions of outputs."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.folder_samples import write_graph
from understudy.folders import atomic_folder
from understudy.graph.files import write_json

ROOT = Path(__file__).parents[3]
NOT_ROOT = os.geteuid() != 0


@pytest.mark.skipif(NOT_ROOT, reason="only root can become another user")
def test_a_folder_of_ones_own_in_a_folder_of_anothers_is_filled(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from understudy.folders import atomic_folder, check_output, FolderError\n"
        "from understudy.folders.kinds import GRAPH; from tests.folder_samples import write_graph\n"
        "out = Path(sys.argv[1]); os.setgid(65534); os.setuid(65534)\n"
        "check_output(out, GRAPH)\n"
        "for _ in range(2):\n"
        "    with atomic_folder(out) as folder: write_graph(folder)\n"
        "try: check_output(out.parent / 'other', GRAPH)\n"
        "except FolderError as error: print(error)\n"
    )
    graph = tmp_path / "graph"
    graph.mkdir()
    os.chown(graph, 65534, 65534)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o755)
    run = subprocess.run(
        [sys.executable, "-c", script, str(graph)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert "other cannot be written: permission denied" in run.stdout
    assert {path.name for path in graph.iterdir()} == {
        *("meta.json", "nodes.parquet", "edges.parquet")
    }


def test_who_may_read_what_is_new_is_as_the_umask_says(tmp_path: Path) -> None:
    graph, notes = tmp_path / "graph", tmp_path / "notes.json"
    before = os.umask(0o077)
    try:
        with atomic_folder(graph) as folder:
            write_graph(folder)
        write_json(notes, {})
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (graph, notes)] == [0o700, 0o600]
    write_json(notes, {"more": 1})
    assert notes.stat().st_mode & 0o777 == 0o600  # what was private stays so


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_are_readable_by_whoever_may_read_the_folder(
    tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "out") as folder:
            save_file({"weights": np.zeros(2)}, folder / "one.safetensors")
            (folder / "inner").mkdir()
            (folder / "inner" / "two").touch(0o600)
    finally:
        os.umask(before)
    for name in ("one.safetensors", "inner/two"):
        assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == mode
