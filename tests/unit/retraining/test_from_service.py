"""The graph of a service, or of its data folder, as a graph folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.http.access import Role, add_key
from service.settings import Settings
from tests import http_servers
from tests.bundles import TinyBundle, with_texts
from tests.redis_server import RedisServer
from understudy.cli import main
from understudy.engine import Engine
from understudy.graph import load_graph
from understudy.graph.building.reading import neighbor_column, text_columns
from understudy.graph.lineage import Lineage
from understudy.graph.log.streams.options import RedisLogOptions
from understudy.graph.mutable.materialize import to_text_graph
from understudy.graph.mutable.stream import read_graph
from understudy.graph.mutations import AddEdge, DeleteNode, UpsertNode


@contextmanager
def served(engine: Engine, settings: Settings) -> Iterator[str]:
    url, stop = http_servers.serve(create_app(engine, settings))
    try:
        yield url
    finally:
        stop()


def status(*words: object) -> object:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in ("data", "from-service", *words)])
    return ended.value.code


def change(engine: Engine) -> None:
    engine.apply([UpsertNode("new", "json ü", label="games"), AddEdge("new", "node-3")])
    engine.apply([DeleteNode("node-7"), UpsertNode("node-8", "other words")])


def test_a_service_and_its_folder_give_the_graph(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, keys = tmp_path / "data", tmp_path / "keys.json"
    key = add_key(keys, "reader", Role.read)
    engine = Engine.open(tiny_bundle.folder, data=data)
    change(engine)
    expected = to_text_graph(engine.state.graph)
    with served(engine, Settings(keys_file=keys)) as url:
        assert status(url, tmp_path / "by-url", "--api-key", key) == 0
        assert status(data, tmp_path / "by-folder", "--name", "mine") == 0  # while it is served
        capsys.readouterr()
        assert status(url, tmp_path / "no") == 1
        assert "unauthorized" in capsys.readouterr().err
        head = {"authorization": f"Bearer {key}"}
        answer = httpx.get(f"{url}/graph", headers=head)
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["x-graph-version"] == "2"
        assert read_graph(answer.iter_lines(), url).content_hash == expected.content_hash
    lineage = Lineage(tiny_bundle.graph.content_hash, 2)
    for name, folder in (("tiny", "by-url"), ("mine", "by-folder")):
        graph = load_graph(tmp_path / folder)
        assert (graph.name, graph.lineage) == (name, lineage)
        assert graph.content_hash == expected.content_hash


def test_the_columns_of_texts_and_neighbours_come_back(
    tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    columns = ("Summary", "Details")
    bundle = with_texts(tiny_bundle.folder, tmp_path / "bundle", *columns, neighbors="Related")
    data = tmp_path / "data"
    engine = Engine.open(bundle, data=data)
    change(engine)
    engine.snapshot()
    with served(engine, Settings()) as url:
        assert status(url, tmp_path / "by-url") == 0
    assert status(data, tmp_path / "by-folder") == 0
    for folder in ("by-url", "by-folder"):
        graph = load_graph(tmp_path / folder)
        assert text_columns(graph.reading) == columns
        assert neighbor_column(graph.reading) == "Related"


def test_a_label_that_no_node_has_any_more_is_named(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = tiny_bundle.graph
    gone = graph.label_names[1]
    members = [graph.ids[row].as_py() for row in (graph.labels == 1).nonzero()[0]]
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        engine.apply([DeleteNode(name) for name in members])
    assert status(data, tmp_path / "graph") == 0
    message = f"labels: no node has the label {gone!r} any more, so it is left out of the graph"
    assert message in capsys.readouterr().out.splitlines()
    assert gone not in load_graph(tmp_path / "graph").label_names


def test_a_label_that_left_train_is_named(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = tiny_bundle.graph
    named = graph.label_names[1]
    train = graph.splits["train"]
    members = [graph.ids[row].as_py() for row in train[graph.labels[train] == 1]]
    others = int((graph.labels == 1).sum()) - len(members)
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        engine.apply([DeleteNode(name) for name in members])
    assert status(data, tmp_path / "graph") == 0
    message = f"labels: no node of train has the label {named!r} ({others} nodes) any more"
    assert message in capsys.readouterr().out
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        engine.apply([UpsertNode("new", "red ink", label=named)])
    assert status(data, tmp_path / "joined", "--join-train") == 0
    assert "no node of train" not in capsys.readouterr().out


def test_what_is_no_graph_is_refused_in_a_line(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        change(engine)
        expected = to_text_graph(engine.state.graph)
    shutil.rmtree(data / "snapshot-0")  # as a release before left it
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for source, words in (
        (tmp_path / "missing", "is neither a folder nor an address"),
        (nothing, "is not the data folder of a service:"),
        (data, "give that bundle with --bundle"),
        ("http://127.0.0.1:9", "cannot be read"),
    ):
        assert status(source, tmp_path / "out") == 1
        output = capsys.readouterr().err
        assert words in output
        assert output.rstrip("\n").rpartition("\n")[2].startswith("error: ")
    assert status(data, tmp_path / "out", "--bundle", tiny_bundle.folder) == 0
    assert load_graph(tmp_path / "out").content_hash == expected.content_hash


@pytest.mark.parametrize(
    ("source", "words", "message"),
    [
        ("http://127.0.0.1:9", ["--bundle", "b"], "--bundle has no effect with a service"),
        (
            ".",
            ["--api-key", "k", "--timeout", "9"],
            "--api-key, --timeout has no effect with a d",
        ),
    ],
)
def test_options_that_nothing_reads_are_refused(
    source: str,
    words: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status(source, tmp_path / "out", *words) == 1
    assert message in capsys.readouterr().err


def test_a_folder_whose_log_is_in_redis_gives_the_graph(
    tiny_bundle: TinyBundle, redis: RedisServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, log = tmp_path / "data", RedisLogOptions(redis.url)
    with Engine.open(tiny_bundle.folder, data=data, log=log) as engine:
        engine.apply([UpsertNode("old", "json")])
        engine.snapshot()
        change(engine)
        expected = to_text_graph(engine.state.graph)
        assert status(data, tmp_path / "out", "--log", redis.url) == 0  # while it is served
    graph = load_graph(tmp_path / "out")
    assert graph.lineage == Lineage(tiny_bundle.graph.content_hash, 3)
    assert graph.content_hash == expected.content_hash
    assert status(data, tmp_path / "out") == 1
    assert "give its URL with --log" in capsys.readouterr().err
    assert status(tiny_bundle.folder, tmp_path / "out", "--log", redis.url) == 1
    assert "it does not contain redis-log.json" in capsys.readouterr().err


def test_a_graph_without_nodes_is_refused(
    tiny_bundle: TinyBundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    ids = tiny_bundle.graph.ids.to_pylist()
    with Engine.open(tiny_bundle.folder, data=data) as engine:
        engine.apply([DeleteNode(name) for name in ids])
        with served(engine, Settings()) as url:
            for source in (url, data):
                assert status(source, tmp_path / "graph") == 1
                assert f"{source}: the graph has no node any more" in capsys.readouterr().err
    assert not (tmp_path / "graph").exists()
