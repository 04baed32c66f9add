"""Half a character (a lone surrogate), as of a program that cuts strings by UTF-16, is told with
its row: no file can hold it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy import Graph
from understudy.graph import BadInputError
from understudy.graph.building.builder import Rules
from understudy.graph.readers.pyg import PygKeys, pyg_graph

nx = pytest.importorskip("networkx", reason="networkx is not installed")
pd = pytest.importorskip("pandas", reason="pandas is not installed")

HALF = "half of \ud83d"
TEXTS = ["oak", "elm", "ash"]


def arrays(**changes: Any) -> Graph:
    values = {"texts": TEXTS, "edges": [("a", "b")], "ids": ["a", "b", "c"], **changes}
    return Graph.from_arrays(values.pop("texts"), values.pop("edges"), **values)


def network() -> Graph:
    graph = nx.Graph()
    graph.add_node("a", text="oak")
    graph.add_node("b", text=HALF)
    return Graph.from_networkx(graph)


def table(**changes: list[str]) -> Any:
    columns = {"id": ["a", "b", "c"], "text": TEXTS, **changes}
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda: arrays(texts=["oak", HALF, "ash"]), "node 1: 'texts' must be text without half"),
        (lambda: arrays(texts=["oak", ["a", HALF], "ash"]), "node 1: 'texts' must be text without"),
        (lambda: arrays(ids=["a", "b", HALF]), "node 2: 'ids' must be text without half"),
        (
            lambda: arrays(edges=[("a", "b"), (HALF, "b")]),
            "edge 1: an end must be text without half",
        ),
        (lambda: arrays(edges=[(1, HALF)], ids=[1, 2, 3]), "edge 0: an end must be text without"),
        (lambda: arrays(labels=["x", HALF, "x"]), "node 1: 'labels' must be text without half"),
        (lambda: arrays(groups=["x", HALF, "x"]), "node 1: 'groups' must be text without half"),
        (
            lambda: arrays(labels=[0, 1, 0], label_names=["x", HALF]),
            "'label_names' must hold text without half a character, a lone surrogate; found",
        ),
        (lambda: Graph.from_pandas(table(text=["oak", HALF, "ash"])), "row 2: column 'text' must"),
        (lambda: Graph.from_pandas({"id": ["a", HALF], "text": ["x", "y"]}), "row 2: column 'id'"),
        (network, "nodes node 2: column 'text' must be text without half a character"),
    ],
)
def test_half_a_character_is_reported_with_its_place(
    read: Callable[[], Graph], message: str
) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        read()
    str(caught.value).encode()  # the message holds none itself


def test_a_column_that_nobody_reads_may_hold_it() -> None:
    assert Graph.from_pandas(table(remark=[HALF] * 3)).num_nodes == 3


def test_a_file_of_torch_that_holds_it_is_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = {"edge_index": torch.tensor([[0], [1]]), "raw_texts": ["oak", HALF, "ash"]}
    torch.save(values, tmp_path / "g.pt")
    with pytest.raises(BadInputError, match="node 1: 'raw_texts' must be text without half"):
        pyg_graph(tmp_path / "g.pt", PygKeys(), Rules())
