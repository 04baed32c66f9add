"""Outputs that are refused before any work, and outputs that are not."""

import errno
import os
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from tests.folder_samples import write_evaluation, write_graph, write_student
from training.distill import other_places
from training.errors import CheckpointError, TeacherError
from training.student.checkpoint import load_checkpoint
from training.teacher.answers.folder import read_info
from understudy.bundle import open_bundle
from understudy.bundle.errors import BundleMissingError
from understudy.folders import (
    OutputRefusedError,
    OutputUnwritableError,
    check_output,
    check_space,
    reserved,
)
from understudy.folders.errors import place_errors
from understudy.folders.kinds import BACKUP, BUNDLE, EVALUATION, GRAPH, STUDENT, Kind
from understudy.graph import TextGraph, load_graph, save_graph
from understudy.graph.errors import SourceError
from understudy.graph.files import cache_folder


def entries(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_new_empty_and_our_own_folders_may_be_written(tmp_path: Path) -> None:
    check_output(tmp_path / "new", GRAPH)
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty", GRAPH)
    check_output(write_graph(tmp_path / "graph"), GRAPH)
    assert entries(tmp_path) == {
        *("empty", "graph", "graph/meta.json", "graph/nodes.parquet", "graph/edges.parquet")
    }


@pytest.mark.parametrize("force", [False, True])
def test_a_users_own_files_are_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(OutputRefusedError, match=r"photo\.jpg"):
        check_output(tmp_path / "holiday", GRAPH, force=force)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "more/deep/notes.txt", "empty/"])
@pytest.mark.parametrize("force", [False, True])
def test_a_file_beside_ours_is_found_and_named(tmp_path: Path, name: str, force: bool) -> None:
    graph = write_graph(tmp_path / "graph")
    if name.endswith("/"):
        (graph / name).mkdir()
    else:
        (graph / name).parent.mkdir(parents=True, exist_ok=True)
        (graph / name).write_text("mine")
    with pytest.raises(OutputRefusedError, match=f"a graph folder, and also {name};"):
        check_output(graph, GRAPH, force=force)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", '{"my": "own"}'),
        ("meta.json", "[]"),
        ("meta.json", ""),
        ("manifest.json", '{"name": "an extension", "files": []}'),
        ("plan.json", "not JSON"),
    ],
)
def test_a_users_file_of_one_of_our_names_is_the_users(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text(text)
    with pytest.raises(OutputRefusedError, match=name):
        check_output(tmp_path / "own", GRAPH, force=True)


@pytest.mark.parametrize(
    ("kind", "marker", "beside", "words"),
    [
        (STUDENT, None, "calibration.json", "looks like a student folder, but its config.json is"),
        (STUDENT, "{", "calibration.json", "config.json is damaged; restore that file, choose"),
        (EVALUATION, None, "accuracy.png", "an evaluation folder, but its plan.json is missing"),
        (EVALUATION, "{}", "runs/a.json", "plan.json is damaged; restore that file"),
        (BUNDLE, None, "activations/h0.npy", "did not write: activations/h0.npy"),
        (BACKUP, "{", "notes.txt", "did not write: backup.json"),
        (STUDENT, "{", "notes.txt", "holds something that understudy did not write: config.json"),
    ],
)
def test_a_folder_of_ours_whose_marker_is_lost_is_told_from_a_users(
    tmp_path: Path, kind: Kind, marker: str | None, beside: str, words: str
) -> None:
    place = tmp_path / "out"
    (place / beside).parent.mkdir(parents=True)
    (place / beside).write_text("x")
    if marker is not None:
        (place / kind.marker).write_text(marker)
    for force in (False, True):
        with pytest.raises(OutputRefusedError, match=re.escape(words)):
            check_output(place, kind, force=force)
    assert (place / beside).read_text() == "x"


def test_force_replaces_a_folder_of_ours_of_another_kind(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    with pytest.raises(
        OutputRefusedError, match=r"is of the kind graph folder, not student folder.*--force"
    ):
        check_output(graph, STUDENT)
    check_output(graph, STUDENT, force=True)
    check_output(write_student(tmp_path / "student"), GRAPH, force=True)


def test_an_evaluation_is_added_to_and_may_hold_notes(tmp_path: Path) -> None:
    evaluation = write_evaluation(tmp_path / "evaluation")
    check_output(evaluation, EVALUATION)
    (evaluation / "notes.txt").write_text("mine")
    check_output(evaluation, EVALUATION)
    with pytest.raises(OutputRefusedError, match=r"notes\.txt"):
        check_output(evaluation, GRAPH, force=True)


@pytest.mark.parametrize("force", [False, True])
def test_nothing_is_written_into_a_folder_of_ours_that_is_replaced_as_a_whole(
    tmp_path: Path, force: bool
) -> None:
    """Which no command could replace any more, since it would hold more than its own."""
    graph = write_graph(tmp_path / "graph")
    (tmp_path / "link").symlink_to(graph)
    for out in (graph / "student", graph / "deep" / "er", tmp_path / "link" / "student"):
        with pytest.raises(
            OutputRefusedError, match=f"{out} would be inside the graph folder {graph}"
        ):
            check_output(out, STUDENT, force=force)
    assert entries(graph) == {"meta.json", "nodes.parquet", "edges.parquet"}
    check_output(graph, GRAPH)
    check_output(write_evaluation(tmp_path / "evaluation") / "splits" / "0", GRAPH)


def test_a_file_and_a_path_below_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputRefusedError, match="is a file"):
        check_output(tmp_path / "file", GRAPH, force=True)
    for below in (tmp_path / "file" / "graph", tmp_path / "file" / "a" / "b", Path("/dev/null/g")):
        with pytest.raises(OutputUnwritableError, match="cannot be written: a part of the path"):
            check_output(below, GRAPH)


def test_a_name_that_is_too_long_is_told_and_a_long_one_works(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritableError, match="name is too long"):
        check_output(tmp_path / ("g" * 256), GRAPH)
    check_output(tmp_path / ("g" * 255), GRAPH)


def test_too_little_space_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OutputUnwritableError, match="MB are free there"):
        check_space(tmp_path / "graph", 1 << 60)
    check_space(tmp_path / "graph", 1)


def test_the_current_folder_and_those_above_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    for path in (Path(), Path(".."), Path("/"), Path.home(), Path("../inner")):
        with pytest.raises(OutputRefusedError, match="current folder or your home"):
            check_output(path, GRAPH, force=True)


SPELLINGS: dict[str, Callable[[Path], Path]] = {
    "plain": lambda path: path,
    "dots": lambda path: path.parent / "elsewhere" / ".." / path.name,
    "relative": lambda path: Path(os.path.relpath(path)),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("force", [False, True])
def test_an_output_that_is_holds_or_lies_in_an_input_is_refused(
    tmp_path: Path, spelling: str, force: bool
) -> None:
    spelled = SPELLINGS[spelling]
    graph = write_graph(tmp_path / "graph")
    with pytest.raises(OutputRefusedError, match=r"is the input .*graph itself"):
        check_output(spelled(graph), STUDENT, [graph], force)
    for name in ("nodes.parquet", "not-there.csv"):
        with pytest.raises(OutputRefusedError, match=f"contains the input .*{name}"):
            check_output(spelled(graph), GRAPH, [graph / name], force)
    with pytest.raises(OutputRefusedError, match=r"is inside the input .*graph"):
        check_output(graph / "student", STUDENT, [spelled(graph)], force)


def test_an_input_is_known_through_links(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    (tmp_path / "link").symlink_to(graph)
    with pytest.raises(OutputRefusedError, match="is the input"):
        check_output(tmp_path / "link", STUDENT, [graph], force=True)
    with pytest.raises(OutputRefusedError, match="is the input"):
        check_output(graph, STUDENT, [tmp_path / "link"], force=True)
    # A link in the output to a file elsewhere: the link would be lost.
    (tmp_path / "far.parquet").write_bytes(b"x")
    (graph / "nodes.parquet").unlink()
    (graph / "nodes.parquet").symlink_to(tmp_path / "far.parquet")
    with pytest.raises(OutputRefusedError, match="contains the input"):
        check_output(graph, GRAPH, [graph / "nodes.parquet"])


def test_links_to_nothing_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere" / "graph")
    with pytest.raises(OutputUnwritableError, match="whose folder does not exist"):
        check_output(tmp_path / "broken", GRAPH)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OutputUnwritableError, match="link to itself"):
        check_output(tmp_path / "loop", GRAPH)
    (tmp_path / "ahead").symlink_to(tmp_path / "graph")  # to what will be there
    check_output(tmp_path / "ahead", GRAPH)


def test_a_url_is_refused_in_words_and_no_folder_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputUnwritableError, match=r"^s3://bucket/graph is a URL.* or mount it"):
        check_output(Path("s3://bucket/graph"), GRAPH)
    with pytest.raises(SourceError, match=r"^gs://bucket/graph is a URL"):
        load_graph("gs://bucket/graph")
    with pytest.raises(CheckpointError, match=r"^memory://student is a URL"):
        load_checkpoint(Path("memory://student"))
    with pytest.raises(TeacherError, match=r"^https://host/teacher is a URL"):
        read_info(Path("https://host/teacher"))
    with pytest.raises(BundleMissingError, match=r"^s3://bucket/bundle is a URL"):
        open_bundle("s3://bucket/bundle")
    assert entries(tmp_path) == set()
    check_output(tmp_path / "s3:" / "graph", GRAPH)  # an odd name, and a place on a disk


def test_a_home_that_nobody_has_put_in_is_no_folder_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputUnwritableError, match=r"^~/graph begins with ~.*the whole path"):
        check_output(Path("~/graph"), GRAPH)
    with pytest.raises(OutputUnwritableError, match=r"^~/graph begins with ~"):
        save_graph(TextGraph.from_arrays(["a", "b"], [(0, 1)]), "~/graph")
    with pytest.raises(SourceError, match=r"^~/graph begins with ~"):
        load_graph("~/graph")
    with pytest.raises(BundleMissingError, match=r"^~/bundle begins with ~"):
        open_bundle("~/bundle")
    assert entries(tmp_path) == set()
    check_output(tmp_path / "~" / "graph", GRAPH)
    check_output(Path("~graph"), GRAPH)


def test_a_library_in_rust_that_cannot_write_names_the_place(tmp_path: Path) -> None:
    path, limits = tmp_path / "weights", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with (
            pytest.raises(OutputUnwritableError, match="cannot be written: a file would be larger"),
            place_errors(path),
        ):
            save_file({"weights": np.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    quota = f"I/O error: {os.strerror(errno.EDQUOT)} (os error {errno.EDQUOT})"
    with (
        pytest.raises(OutputUnwritableError, match="the disk quota there is used up"),
        place_errors(tmp_path),
    ):
        raise SafetensorError(quota)


def test_no_current_folder_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("UNDERSTUDY_CACHE", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654)  # of nobody whom the machine knows
    (tmp_path / "here").rmdir()
    check_output(tmp_path / "new", GRAPH)
    with pytest.raises(OutputUnwritableError, match="the current folder has been removed"):
        check_output(Path("new"), GRAPH)
    with pytest.raises(SourceError, match="set UNDERSTUDY_CACHE to a folder"):
        cache_folder()
    assert list(other_places())  # a trained student is not lost for want of a home


def test_an_empty_home_is_not_the_root_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UNDERSTUDY_CACHE", raising=False)
    monkeypatch.setenv("HOME", "")
    with pytest.raises(SourceError, match="HOME is empty"):
        cache_folder()
    assert list(other_places())
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache/understudy"
    monkeypatch.setenv("UNDERSTUDY_CACHE", "~/kept")  # as no shell has expanded it
    assert cache_folder() == tmp_path / "kept"


def test_a_path_that_is_no_text_is_refused_before_any_work(tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"graph\xff")
    with pytest.raises(OutputUnwritableError, match="its path is not UTF-8"):
        check_output(strange, GRAPH)
    strange.mkdir()
    (tmp_path / "link").symlink_to(strange)
    for given in (strange / "nodes.csv", tmp_path / "link"):
        with pytest.raises(OutputRefusedError, match=r"the path of the input .* is not UTF-8"):
            check_output(tmp_path / "graph", GRAPH, [given])


def test_a_place_that_takes_no_new_files_is_told_by_its_own_name() -> None:
    with pytest.raises(OutputUnwritableError, match=r"^/proc/graph cannot be written: the place"):
        check_output(Path("/proc/graph"), GRAPH)


def test_an_input_that_is_a_link_to_itself_is_left_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    check_output(tmp_path / "graph", GRAPH, [tmp_path / "loop.csv"])


def test_what_grows_is_not_told_to_be_replaced(tmp_path: Path) -> None:
    student = write_student(tmp_path / "student")
    with pytest.raises(OutputRefusedError, match=r"not evaluation folder; choose another folder$"):
        check_output(student, EVALUATION)


def test_what_cannot_be_written_elsewhere_is_not_told_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="/dev/null/cache"), reserved(tmp_path / "out"):
        Path("/dev/null/cache").mkdir()
    (tmp_path / "out").write_text("")
    with (
        pytest.raises(OutputUnwritableError, match="out cannot be written: a part of the path"),
        reserved(tmp_path / "out"),
    ):
        (tmp_path / "out" / "part").mkdir()
