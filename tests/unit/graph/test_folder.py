import json
from dataclasses import replace
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.other_user import as_nobody, open_to_all
from understudy.folders import FolderChangedError
from understudy.folders.names import name_problem
from understudy.graph import (
    BadInputError,
    GraphFormatError,
    SourceError,
    TextGraph,
    build_adjacency,
    load_graph,
    random_split,
    read_meta,
    save_graph,
    string_array,
)

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
titles = st.text(max_size=6).filter(lambda title: name_problem(title) is None)


@st.composite
def graphs(draw: st.DrawFn) -> TextGraph:
    ids = draw(st.lists(words, min_size=1, max_size=7, unique=True))
    count = len(ids)
    node = st.integers(0, count - 1)
    names = draw(st.lists(words, max_size=3, unique=True))
    labels = draw(st.lists(st.integers(-1, len(names) - 1), min_size=count, max_size=count))
    pairs = np.array(draw(st.lists(st.tuples(node, node), max_size=9)), dtype=np.int64)
    groups = draw(st.none() | st.lists(st.integers(0, 3), min_size=count, max_size=count))
    return TextGraph(
        name=draw(titles),
        ids=string_array(ids),
        texts=string_array(draw(st.lists(words, min_size=count, max_size=count))),
        labels=np.array(labels),
        label_names=tuple(names),
        adjacency=build_adjacency(count, pairs)[0],
        splits=random_split(np.array(labels)) if draw(st.booleans()) else {},
        groups=None if groups is None else np.array(groups),
        notes={"self_loops": 2},
    )


@given(graphs())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_graph_comes_back_as_it_was(tmp_path: Path, graph: TextGraph) -> None:
    save_graph(graph, str(tmp_path / "graph"))  # a text will do, as in a notebook
    back = load_graph(str(tmp_path / "graph"))
    assert back.content_hash == graph.content_hash
    assert back.ids.to_pylist() == graph.ids.to_pylist()
    assert back.labels.tolist() == graph.labels.tolist()
    assert list(back.splits) == list(graph.splits)
    assert (back.name, back.source, dict(back.notes)) == (graph.name, "", {"self_loops": 2})


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a graph folder"):
        load_graph(tmp_path)


def test_a_changed_graph_is_noticed(small_graph: TextGraph, tmp_path: Path) -> None:
    save_graph(small_graph, tmp_path / "graph")
    other = replace(small_graph, texts=string_array("abcdefg"))
    save_graph(other, tmp_path / "other")
    (tmp_path / "other/nodes.parquet").replace(tmp_path / "graph/nodes.parquet")
    with pytest.raises(GraphFormatError, match="changed since it was written"):
        load_graph(tmp_path / "graph")


@pytest.mark.parametrize("name", ["nodes.parquet", "edges.parquet"])
def test_a_damaged_table_is_refused(small_graph: TextGraph, tmp_path: Path, name: str) -> None:
    save_graph(small_graph, tmp_path / "graph")
    (tmp_path / "graph" / name).write_bytes(b"not a table")
    with pytest.raises(GraphFormatError, match=rf"{name} is damaged: .*; restore the folder, or"):
        load_graph(tmp_path / "graph")


def test_a_missing_column_is_refused(small_graph: TextGraph, tmp_path: Path) -> None:
    save_graph(small_graph, tmp_path / "graph")
    path = tmp_path / "graph/nodes.parquet"
    pq.write_table(pq.read_table(path).drop(["text"]), path)
    with pytest.raises(GraphFormatError, match="damaged"):
        load_graph(tmp_path / "graph")


@pytest.mark.parametrize(
    "change",
    [
        *({"label_names": None}, {"label_names": [1]}, {"notes": "x"}, {"name": 7}),
        *({"splits": 5}, {"splits": {"train": "x"}}, {"nodes": "many"}, {"edges": None}),
    ],
)
def test_a_meta_of_other_types_is_damaged(
    small_graph: TextGraph, tmp_path: Path, change: dict[str, object]
) -> None:
    save_graph(small_graph, tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps(meta | change))
    with pytest.raises(GraphFormatError, match=rf"meta\.json is damaged: .*{next(iter(change))}"):
        load_graph(tmp_path)


@pytest.mark.parametrize("name", ["two\nlines", "a\x1b[2Jscreen", "half \ud800"])
def test_a_name_that_would_end_a_line_is_neither_written_nor_read(
    small_graph: TextGraph, tmp_path: Path, name: str
) -> None:
    with pytest.raises(BadInputError, match=r"the graph's name contains .*; give another one"):
        save_graph(replace(small_graph, name=name), tmp_path)
    save_graph(small_graph, tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps(meta | {"name": name}))
    with pytest.raises(GraphFormatError, match=r"meta\.json: the graph's name contains") as caught:
        load_graph(tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("content", ["{", "[]", '{"format_version": "x"}', "{}", "[" * 100_000])
def test_a_damaged_meta_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(GraphFormatError, match=r"meta\.json is damaged"):
        read_meta(tmp_path)


def test_a_newer_format_is_refused(small_graph: TextGraph, tmp_path: Path) -> None:
    save_graph(small_graph, tmp_path)
    meta = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps({**meta, "format_version": 99}))
    with pytest.raises(GraphFormatError, match="update understudy"):
        load_graph(tmp_path)


def test_a_graph_that_is_replaced_while_it_is_read_is_not_called_damaged(
    small_graph: TextGraph, tmp_path: Path
) -> None:
    graphs = (small_graph, replace(small_graph, texts=string_array(small_graph.ids.to_pylist())))
    save_graph(graphs[0], tmp_path / "g")

    def write() -> None:
        for number in range(60):
            save_graph(graphs[number % 2], tmp_path / "g")

    writer = Thread(target=write)
    writer.start()
    found, refused = set[str](), set[str]()
    while writer.is_alive():
        try:
            found.add(load_graph(tmp_path / "g").content_hash)
        except (FolderChangedError, SourceError) as error:
            refused.add(str(error).removeprefix(f"{tmp_path / 'g'} ")[:26])
    assert found == {graph.content_hash for graph in graphs}
    # The second is of a moment between the old one and the new one.
    assert refused <= {"was rewritten while it was", "is not a graph folder (no "}


@pytest.mark.parametrize("name", ["meta.json", "nodes.parquet"])
def test_a_graph_that_may_not_be_read_is_not_called_damaged(
    small_graph: TextGraph, name: str
) -> None:
    with open_to_all() as folder:
        save_graph(small_graph, folder / "g")
        (folder / "g" / name).chmod(0)
        with as_nobody(), pytest.raises(SourceError, match=rf"{name}: Permission denied$"):
            load_graph(folder / "g")


@pytest.mark.parametrize("name", ["nodes.parquet", "edges.parquet"])
def test_a_missing_file_is_told_to_be_missing(
    small_graph: TextGraph, tmp_path: Path, name: str
) -> None:
    save_graph(small_graph, tmp_path / "graph")
    (tmp_path / "graph" / name).unlink()
    with pytest.raises(GraphFormatError, match=rf"graph is damaged: {name} is missing"):
        load_graph(tmp_path / "graph")
