"""Outputs of commands: refused before any work, replaced whole, or kept elsewhere."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.disks import small_file_system
from tests.other_user import as_nobody, open_to_all
from training.beginning import shape_of
from training.config import DistillOptions
from training.distill import keep_student
from training.errors import CheckpointError
from training.student.checkpoint import load_checkpoint
from understudy.bundle import open_bundle
from understudy.cli import main
from understudy.folders import FolderError, check_output
from understudy.folders.kinds import (
    BUNDLE,
    GRAPH,
    KINDS,
    REPOSITORY,
    STUDENT,
    Kind,
    first_foreign,
    kind_of,
)
from understudy.graph import load_graph

ROOT = Path(__file__).parents[2]
QUICK = ("--encoder", "hashing", "--epochs", "2", "--layers", "1", "--hidden", "8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a graph, a student, a bundle and a Triton repository."""
    folder = tmp_path_factory.mktemp("made")
    for words in (
        ("data", "synthetic", folder / "graph", "--nodes", 200, "--classes", 3),
        ("distill", folder / "graph", folder / "student", *QUICK),
        ("export", folder / "student", folder / "bundle", "--triton", folder / "models"),
    ):
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 0
    return folder


Call = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command that ends with one line on stderr, which is returned."""

    def call(*words: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 1
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith("error: ")
        return line

    return call


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("name", "kind"),
    [("graph", GRAPH), ("student", STUDENT), ("bundle", BUNDLE), ("models", REPOSITORY)],
)
def test_what_a_command_writes_is_known_as_its_own(made: Path, name: str, kind: Kind) -> None:
    assert kind_of(made / name) is kind
    assert first_foreign(made / name, kind) is None
    check_output(made / name, kind)
    for other in KINDS:
        if other is not kind:
            with pytest.raises(FolderError, match="another folder" if other.grows else "--force"):
                check_output(made / name, other)


def test_no_command_writes_over_its_input_or_a_users_files(
    made: Path, tmp_path: Path, refused: Call
) -> None:
    before = content(made)
    graph, student, bundle = made / "graph", made / "student", made / "bundle"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    photos = tmp_path / "photos"
    words: tuple[object, ...]
    for words in (
        ("teach", graph, graph, "--force"),
        ("distill", graph, graph, "--force"),
        ("distill", graph, f"{graph}/"),
        ("evaluate", graph, graph),
        ("export", student, student, "--force"),
        ("export", student, graph, "--force"),
        ("export", bundle, "--triton", bundle, "--force"),
    ):
        assert "is the input" in refused(*words), words
    for words in (
        ("teach", graph, graph / "teacher"),
        ("distill", graph, graph / "student"),
        ("evaluate", graph, graph / "evaluation"),
        ("export", student, student / "bundle"),
        ("export", bundle, "--triton", bundle / "models"),
    ):
        assert "is inside the input" in refused(*words), words
    for words in (
        ("data", "synthetic", photos, "--force"),
        ("teach", graph, photos, "--force"),
        ("distill", graph, photos, "--force"),
        ("evaluate", graph, photos),
        ("export", student, photos, "--force"),
        ("export", bundle, "--triton", photos, "--force"),
    ):
        assert "cat.jpg" in refused(*words), words
    assert content(made) == before
    assert "--force" in refused("distill", graph, bundle)


def test_files_beside_an_imported_graph_are_kept(tmp_path: Path, refused: Call) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    with (raw / "n.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text", "label"), (1, "a river", "x"), (2, "ice", "y")])
    (raw / "e.csv").write_text("source,target\n1,2\n")
    words = ("data", "import", raw, "--nodes", raw / "n.csv", "--edges", raw / "e.csv")
    before = content(raw)
    for flags in ((), ("--force",)):
        assert "contains the input" in refused(*words, *flags)
    assert content(raw) == before


def test_a_bundle_is_replaced_while_it_is_read(made: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(made / "bundle", bundle)
    logits = open_bundle(bundle).array("activations/logits.npy")
    before = logits.copy()
    with pytest.raises(SystemExit) as ended:
        main(["export", str(made / "student"), str(bundle)])
    assert ended.value.code == 0
    assert (logits == before).all()  # what was mapped stays
    assert open_bundle(bundle).manifest.created
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_student_that_cannot_be_written_is_kept_elsewhere(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("came while it trained")

    def save(folder: Path) -> None:
        from understudy.folders import atomic_folder

        with atomic_folder(folder) as aside:
            shutil.copytree(made / "student", aside, dirs_exist_ok=True)

    with pytest.raises(
        CheckpointError, match=r"mine\.txt.*the trained student is kept in"
    ) as raised:
        keep_student(out, save)
    (kept,) = (tmp_path / "cache" / "students").iterdir()
    assert str(kept) in str(raised.value)
    assert load_checkpoint(kept).config.graph_path == str(made / "graph")
    # Nor is the cache to be written: the folder for passing files is.
    monkeypatch.setenv("UNDERSTUDY_CACHE", "/dev/null/cache")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "passing"))
    with pytest.raises(CheckpointError, match="passing"):
        keep_student(out, save)


@pytest.mark.parametrize("name", ["config.json", "student.safetensors"])
def test_a_student_that_may_not_be_read_is_not_called_damaged(made: Path, name: str) -> None:
    with open_to_all() as place:
        shutil.copytree(made / "student", place / "student")
        (place / "student" / name).chmod(0)
        for read in (load_checkpoint, shape_of) if name == "config.json" else (load_checkpoint,):
            with as_nobody(), pytest.raises(CheckpointError, match=f"/{name}: Permission denied$"):
                read(place / "student")


GRAPHS = {
    "no labels": ([("a", ""), ("b", ""), ("c", "")], "has no labels; at least 2 classes"),
    "one class": ([("a", "x"), ("b", "x"), ("c", "x")], "has one class, 'x'; at least 2 classes"),
    "few": ([("a", "x"), ("b", "y")], "no labelled node in its val split; label at least 3 nodes"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_a_graph_that_cannot_be_trained_on_is_refused_before_it_is_encoded(
    tmp_path: Path, refused: Call, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, expected = GRAPHS[kind]
    with (tmp_path / "n.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("id", "text", "label"), *((name, f"text of {name}", y) for name, y in rows)]
        )
    (tmp_path / "e.csv").write_text("source,target\na,b\n")
    graph = tmp_path / "graph"
    given = ("--nodes", tmp_path / "n.csv", "--edges", tmp_path / "e.csv")
    with pytest.raises(SystemExit):
        main([str(word) for word in ("data", "import", graph, *given)])
    monkeypatch.setattr("training.distill.graph_features", None)  # whoever encodes, fails
    assert expected in refused("distill", graph, tmp_path / "student", "--encoder", "hashing")
    if kind != "few":
        monkeypatch.setattr("training.teacher.teach.load_local", None)
        assert expected in refused("teach", graph, tmp_path / "teacher")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_file_system(tmp_path / "disk", megabytes=1) as folder:
        yield folder


def test_too_small_a_disk_is_noticed_before_training(
    made: Path, small_disk: Path, refused: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.distill.fit_best", None)  # whoever trains, fails
    line = refused("distill", made / "graph", small_disk / "student", "--encoder", "hashing")
    assert "MB are free there" in line
    (small_disk / "ballast").write_bytes(bytes((1 << 20) - 32_768))
    assert "no space is left" in refused("distill", made / "graph", small_disk / "student")
    assert "no space is left" in refused("data", "synthetic", small_disk / "graph")
    assert {path.name for path in small_disk.iterdir()} == {"ballast"}


def test_a_disk_that_runs_full_is_one_line_and_leaves_the_old_graph(
    small_disk: Path, refused: Call
) -> None:
    graph = small_disk / "graph"
    with pytest.raises(SystemExit):
        main(["data", "synthetic", str(graph), "--nodes", "50"])
    before = load_graph(graph).content_hash
    line = refused("data", "synthetic", graph, "--nodes", 20_000, "--words", 60)
    assert line.endswith(f"{graph} cannot be written: no space is left there")
    assert load_graph(graph).content_hash == before
    assert {path.name for path in small_disk.iterdir()} == {"graph"}


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("distill", "{graph}", "{out}", "--encoder", "minilm", "--epochs", "1"),
            "cannot be written: no space is left there",
        ),
        (
            ("teach", "{graph}", "{out}", "--frozen", "--hops", "0", "--no-show-labels"),
            "but only 0.01 MB are free there",
        ),
    ],
)
def test_a_cache_that_is_full_is_told_by_its_own_name_and_not_by_the_outputs(
    made: Path,
    small_disk: Path,
    tmp_path: Path,
    refused: Call,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    problem: str,
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(small_disk / "cache"))
    (small_disk / "ballast").write_bytes(bytes(2**20 - 2**13))
    places = {"graph": made / "graph", "out": tmp_path / "out"}
    line = refused(*(word.format(**places) for word in words))
    assert line.startswith(f"error: {small_disk / 'cache'}/")
    assert line.endswith(f"{problem}; set UNDERSTUDY_CACHE to a writable folder with enough space")
    assert not (tmp_path / "out").exists()


def test_a_graph_at_a_mount_point_is_replaced(small_disk: Path) -> None:
    for seed in ("1", "2"):
        with pytest.raises(SystemExit) as ended:
            main(["data", "synthetic", str(small_disk), "--nodes", "50", "--seed", seed])
        assert ended.value.code == 0
        assert load_graph(small_disk).num_nodes == 50


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGTERM, ("data", "synthetic", "OUT", "--nodes", "50")),
        (signal.SIGINT, ("data", "synthetic", "OUT", "--nodes", "50")),
        (signal.SIGINT, ("export", "STUDENT", "OUT")),
    ],
)
def test_a_command_that_is_asked_to_end_leaves_nothing(
    made: Path, tmp_path: Path, number: int, words: tuple[str, ...]
) -> None:
    code = (
        "import signal, time, understudy.cli, understudy.folders.atomic\n"
        # Whoever runs the tests in the background may have it ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def endless(folder):\n"
        "    print('saving', flush=True)\n"
        "    time.sleep(60)\n"
        "understudy.folders.atomic.synchronize = endless\n"
        "understudy.cli.main()\n"
    )
    paths = {"OUT": tmp_path / "out", "STUDENT": made / "student"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *(str(paths.get(word, word)) for word in words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "saving\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert errors.splitlines()[-1] == (
        "interrupted: no partial result is left; the same command starts from the beginning"
    )
    assert list(tmp_path.iterdir()) == []


def test_inputs_of_distilling_are_all_that_it_reads() -> None:
    options = DistillOptions(teacher=Path("t"), encoder_path=Path("e"))
    assert options.inputs(Path("g")) == [Path("g"), Path("t"), Path("e")]
