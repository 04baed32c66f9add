"""`understudy.teach`, `distill`, `evaluate` and `export` with a graph in memory and in a folder."""

from pathlib import Path

import pytest

from export.errors import ExportError, StaleError
from tests.language_models import write_tiny_llama
from training.errors import EvaluationError, TeacherError
from understudy import Graph, distill, evaluate, export, save_graph, teach
from understudy.graph.cached_graph import graph_folder
from understudy.graph.folder import read_meta


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def small_graph(name: str = "small") -> Graph:
    """Two classes that a word tells apart."""
    texts = [f"{'oak' if n % 2 else 'iron'} thing number {n}" for n in range(30)]
    labels = ["wood" if n % 2 else "metal" for n in range(30)]
    return Graph.from_arrays(texts, [(n, n + 2) for n in range(28)], labels=labels, name=name)


def test_a_teacher_teaches_a_student(tmp_path: Path) -> None:
    graph = small_graph()
    options = {"frozen": True, "tokens": 16}
    info = teach(graph, tmp_path / "teacher", hops=[1, 0], **options)  # type: ignore[arg-type]
    assert info.hops == (0, 1)
    assert info.graph_hash == graph.content_hash
    assert info.settings["prompts"]["tokens"] == 16
    metrics = distill(
        graph,
        tmp_path / "student",
        teacher=tmp_path / "teacher",
        compare=True,
        encoder="hashing",
        hidden=8,
        epochs=2,
    )
    assert "val_accuracy_alone" in metrics
    assert metrics["epochs"] <= 2


def test_memory_and_folder_make_the_same_student(tmp_path: Path) -> None:
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    for name, source in (("a", graph), ("b", tmp_path / "graph"), ("c", str(tmp_path / "graph"))):
        distill(source, tmp_path / name, encoder="hashing", hidden=8, epochs=3, seed=4)
    weights = {(tmp_path / n / "student.safetensors").read_bytes() for n in ("a", "b", "c")}
    assert len(weights) == 1


def test_the_graph_of_a_moved_student_can_be_given_again(tmp_path: Path, cache: Path) -> None:
    graph = small_graph()
    distill(graph, tmp_path / "student", encoder="hashing", hidden=8, epochs=1)
    cache.rename(tmp_path / "elsewhere")
    with pytest.raises(StaleError, match="is no longer a graph folder; give its new place"):
        export(tmp_path / "student", tmp_path / "bundle")
    manifest = export(tmp_path / "student", tmp_path / "bundle", graph=graph, name="notes")
    assert manifest.name == "notes"
    assert manifest.graph.nodes == 30
    with pytest.raises(ExportError, match="unknown precision 'int4'"):
        export(tmp_path / "student", tmp_path / "bundle", student_precisions=["int4"])


def test_an_evaluation(tmp_path: Path) -> None:
    report = evaluate(
        small_graph(),
        tmp_path / "evaluation",
        splits=1,
        seeds=1,
        students=["sage"],
        encoders=["hashing"],
        recipes=["vanilla"],
        hidden=8,
        epochs=2,
    )
    assert "vanilla" in report.read_text(encoding="utf-8")
    with pytest.raises(EvaluationError, match="an endpoint cannot be tuned"):
        evaluate(small_graph(), tmp_path / "evaluation", teacher="openai:http://localhost/v1#m")
    for address, problem in (
        ("nowhere#m", "is not the URL of a server; expected .*, followed by #MODEL"),
        ("http://localhost/v1/chat/completions#m", "is the URL of a route"),
        ("http://localhost/v1", "is not an endpoint; give openai:URL#model"),
    ):
        with pytest.raises(TeacherError, match=problem):
            teach(small_graph(), tmp_path / "teacher", teacher=f"openai:{address}")


def test_a_graph_in_memory_is_kept_once_and_by_name(cache: Path) -> None:
    graph, renamed = small_graph(), small_graph("a/../b")
    folder = graph_folder(graph)
    written = (folder / "meta.json").stat().st_mtime_ns
    assert graph_folder(graph) == folder
    assert (folder / "meta.json").stat().st_mtime_ns == written
    other = graph_folder(renamed)
    assert other.parent == folder.parent == cache / "graphs"
    assert read_meta(other)["name"] == "a/../b"


def test_a_causal_teacher_is_told_how_to_be(tmp_path: Path) -> None:
    graph = small_graph()
    words = graph.texts.to_pylist()
    model = str(write_tiny_llama(tmp_path / "llama", words))
    hard = {graph.ids[node].as_py(): 1.0 for node in range(3)}
    info = teach(
        graph,
        tmp_path / "teacher",
        teacher=model,
        hops=[0],
        epochs=0,
        tokens=16,
        max_tokens=256,
        precision="float32",
        scores="mean",
        budget=20,
        budget_hard=hard,
    )
    assert info.settings["causal"]["scores"] == "mean"
    assert info.settings["causal"]["max_tokens"] == 256
    assert info.settings["budget"]["hard"]
    for said, message in (
        ({}, "needs a limit"),
        ({"max_nodes": 9, "budget_choice": "random"}, "first"),
    ):
        with pytest.raises(TeacherError, match=message):
            teach(graph, tmp_path / "other", budget_hard=hard, **said)  # type: ignore[arg-type]
    with pytest.raises(
        TeacherError, match="precision applies only to teachers of the kinds causal"
    ):
        teach(graph, tmp_path / "other", frozen=True, precision="float32")
    with pytest.raises(TeacherError, match="teacher_epochs applies only to"):
        evaluate(graph, tmp_path / "evaluation", frozen=True, teacher_epochs=3)


def test_a_student_teaches_another(tmp_path: Path) -> None:
    graph = small_graph()
    small = {"encoder": "hashing", "hidden": 8, "epochs": 2}
    distill(graph, tmp_path / "first", **small)  # type: ignore[arg-type]
    info = teach(graph, tmp_path / "teacher", teacher=str(tmp_path / "first"))
    assert info.kind == "student"
    taught = {"student": "mlp", "teacher": tmp_path / "teacher", "objectives": {"kd": 0.5}}
    metrics = distill(graph, tmp_path / "second", **taught, **small)  # type: ignore[arg-type]
    assert "test_accuracy" in metrics
