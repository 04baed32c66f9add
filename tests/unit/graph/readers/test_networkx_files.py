"""Graphs saved by NetworkX and Gephi."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest

networkx = pytest.importorskip("networkx", reason="NetworkX is not installed")

from understudy.graph import BadInputError  # noqa: E402
from understudy.graph.building.builder import Built, Rules  # noqa: E402
from understudy.graph.readers.fields import EdgeFields, NodeFields  # noqa: E402
from understudy.graph.readers.files import import_graph  # noqa: E402

WRITERS = {
    "graphml": networkx.write_graphml,
    "gexf": networkx.write_gexf,
    "gml": networkx.write_gml,
}


def content(kind: str) -> bytes:
    graph = networkx.DiGraph()
    for node, text, genus in (("oak", "a tree", "x"), ("ash", "another", "y"), ("elm", "one", "x")):
        graph.add_node(node, text=text, category=genus)
    graph.add_edge("oak", "ash", weight=2.0)
    graph.add_edge("ash", "elm")
    stream = io.BytesIO()
    WRITERS[kind](graph, stream)
    return stream.getvalue()


def read(path: Path, edges: bool = False) -> Built:
    return import_graph([path], [path] if edges else [], NodeFields(), EdgeFields(), Rules())


@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize("kind", list(WRITERS))
def test_every_format(tmp_path: Path, kind: str, edges: bool) -> None:
    path = tmp_path / f"graph.{kind}.gz"
    path.write_bytes(gzip.compress(content(kind)))
    graph = read(path, edges).graph
    assert graph.ids.to_pylist() == ["oak", "ash", "elm"]
    assert graph.texts.to_pylist() == ["a tree", "another", "one"]
    assert graph.label_names == ("x", "y")
    assert graph.labels.tolist() == [0, 1, 0]
    assert graph.adjacency.edges().tolist() == [[0, 1], [1, 2]]
    assert "weight" in graph.reading["files"][1]["unread"]


def test_an_attribute_is_not_taken_for_what_the_format_itself_calls_nodes(tmp_path: Path) -> None:
    graph = networkx.Graph()
    graph.add_node("oak", text="a tree", ID="7")
    graph.add_node("ash", text="another", ID="8")
    graph.add_edge("oak", "ash", Source="a book")
    networkx.write_graphml(graph, tmp_path / "graph.graphml")
    found = read(tmp_path / "graph.graphml").graph
    assert found.ids.to_pylist() == ["oak", "ash"]
    assert found.adjacency.edges().tolist() == [[0, 1]]
    assert [file["unread"] for file in found.reading["files"]] == [["ID"], ["Source"]]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_a_damaged_file_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"graph.{kind}"
    path.write_bytes(content(kind)[:-40])
    with pytest.raises(BadInputError, match=rf"graph\.{kind}: not a {kind} file") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_networkx_is_imported_only_where_needed_and_named_where_missing(tmp_path: Path) -> None:
    (tmp_path / "graph.gml").write_bytes(content("gml"))
    code = (
        "import sys, understudy.graph.readers.files; assert 'networkx' not in sys.modules\n"
        "sys.modules['networkx'] = None\n"
        "from understudy.cli import main; main(['data', 'import', 'out', '--nodes', 'graph.gml'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("needs NetworkX: pip install 'understudy-gnn[networkx]'")


GML = (
    'graph [ node [ id 4 {0} text "oak" ] node [ id 7 {1} text "elm" ] edge [ source 4 target 7 ] ]'
)


@pytest.mark.parametrize(
    ("labels", "ids", "classes"),
    [
        (("", ""), ["4", "7"], ()),
        (('label "tree"', 'label "tree"'), ["4", "7"], ("tree",)),
        (('label "a"', 'label "b"'), ["a", "b"], ()),
    ],
)
def test_labels_in_gml_are_ids_only_where_they_tell_nodes_apart(
    tmp_path: Path, labels: tuple[str, str], ids: list[str], classes: tuple[str, ...]
) -> None:
    path = tmp_path / "graph.gml"
    path.write_text(GML.format(*labels))
    graph = read(path).graph
    assert graph.ids.to_pylist() == ids
    assert graph.label_names == classes
    assert graph.adjacency.edges().tolist() == [[0, 1]]


XML = {
    "graphml": '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{}</graphml>',
    "gexf": '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">{}</gexf>',
}
ONE = {
    "graphml": '<graph edgedefault="undirected"><node id="{}"/><node id="{}"/></graph>',
    "gexf": '<graph><nodes><node id="{}" label="x"/><node id="{}" label="x"/></nodes></graph>',
}


@pytest.mark.parametrize("kind", list(XML))
def test_a_node_twice_is_refused_as_in_every_other_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"g.{kind}"
    path.write_text(XML[kind].format(ONE[kind].format("oak", "oak")))
    with pytest.raises(BadInputError, match="two nodes of the id 'oak'; remove or rename one"):
        read(path)


@pytest.mark.parametrize(
    "inner",
    [
        ONE["graphml"].format("oak", "elm") + ONE["graphml"].format("ash", "yew"),
        f'<graph edgedefault="undirected"><node id="a">{ONE["graphml"].format("b", "c")}</node>'
        "</graph>",
    ],
    ids=["beside", "inside"],
)
def test_a_second_graph_of_a_file_is_not_dropped(tmp_path: Path, inner: str) -> None:
    path = tmp_path / "g.graphml"
    path.write_text(XML["graphml"].format(inner))
    with pytest.raises(BadInputError, match=r"g\.graphml: the node '(ash|b)' is in a second graph"):
        read(path)


def test_an_attribute_that_is_called_id_is_told(tmp_path: Path) -> None:
    graph = networkx.Graph()
    graph.add_node("n0", text="a tree", id="oak")
    graph.add_node("n1", text="another", id="elm")
    graph.add_edge("n0", "n1", source="a book")
    networkx.write_graphml(graph, tmp_path / "graph.graphml")
    found = read(tmp_path / "graph.graphml").graph
    assert found.ids.to_pylist() == ["n0", "n1"]
    unread = [file["unread"] for file in found.reading["files"]]
    assert unread == [["id_attribute"], ["source_attribute"]]


@pytest.mark.parametrize("begin", ["graph [", 'Creator "Gephi"\ngraph\n[\n  directed 0'])
def test_gml_as_gephi_and_igraph_write_it(tmp_path: Path, begin: str) -> None:
    """In UTF-8, and with edges that stand twice in a graph that is not called a multigraph."""
    nodes = "".join(
        f' node [ id {number} label "{name}" text "{text}" ]\n'
        for number, (name, text) in enumerate((("café", "naïve 樹"), ("elm", "one &amp; two")))
    )
    twice = " edge [ source 0 target 1 ]\n" * 2
    path = tmp_path / "graph.gml"
    path.write_text(f"{begin}\n{nodes}{twice}]\n", encoding="utf-8")
    built = read(path)
    assert built.graph.ids.to_pylist() == ["café", "elm"]
    assert built.graph.texts.to_pylist() == ["naïve 樹", "one & two"]
    assert built.graph.adjacency.num_edges == 1
    assert built.graph.notes["duplicate_edges"] == 1


def test_gml_with_a_node_twice_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph.gml"
    path.write_text('graph [ node [ id 0 text "a" ] node [ id 0 text "b" ] ]')
    with pytest.raises(BadInputError, match="node id 0 is duplicated"):
        read(path)
    path.write_bytes('graph [ node [ id 0 text "café" ] ]'.encode("latin-1"))
    with pytest.raises(BadInputError, match="not a gml file that NetworkX reads: UnicodeDecodeE"):
        read(path)
