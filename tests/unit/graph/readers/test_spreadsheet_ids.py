"""Ids as spreadsheets and pandas write them: formulas, rounded numbers, and floats."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.graph.readers.shapes import EDGES, NODES, TEXTS, Import, edges, names, remarks_of
from understudy.graph import BadInputError, TextGraph
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import SplitFile, import_graph

ROUNDED = "id,text\n1.23457E+11,a pump\n1.23458E+11,a valve\n"


def test_formulas_that_keep_zeros_are_what_they_mean(import_text: Import) -> None:
    nodes = '"=""id""",text,label\n="007",an owl,bird\n"=""008""","say =""no""",\n'
    built = import_text(nodes, 'source,target\n="007",008\n')
    assert built.graph.ids.to_pylist() == ["007", "008"]
    assert built.graph.texts.to_pylist() == ["an owl", 'say ="no"']
    assert edges(built) == [[0, 1]]
    assert (
        'formulas such as ="007" read as the text in them, in rows: 2 (first: line 2)'
        in remarks_of(built)
    )


def test_formulas_in_a_tsv_whose_quotes_are_letters(import_text: Import) -> None:
    nodes = 'id\ttext\tlabel\n="007"\tan "owl"\ta\n="008"\tb =\tb\n'
    built = import_text(nodes, "source,target\n007,008\n", node_name="nodes.tsv")
    assert built.graph.ids.to_pylist() == ["007", "008"]
    assert built.graph.texts[0].as_py() == 'an "owl"'


FORMULAS = [
    {"id": '="007"', "text": "an owl", "label": '="1"', "neighbors": ['="008"']},
    {"id": ' ="008"', "text": '="say ""no"""', "label": "2", "neighbors": None},
    {"id": "9", "text": 'a b="c"', "label": '=""', "neighbors": ["007"]},
]


def check_formulas(graph: TextGraph) -> None:
    assert graph.ids.to_pylist() == ["007", "008", "9"]
    assert graph.texts.to_pylist() == ["an owl", 'say "no"', 'a b="c"']
    assert names(graph) == ["1", "2", None]
    assert graph.adjacency.edges().tolist() == [[0, 1], [0, 2]]
    assert graph.notes["formulas"] == 6  # an id that has neighbours counts once


def test_formulas_are_what_they_mean_in_json_and_parquet(
    import_text: Import, tmp_path: Path
) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in FORMULAS)
    check_formulas(import_text(lines, None, node_name="nodes.jsonl").graph)
    pq.write_table(pa.Table.from_pylist(FORMULAS), tmp_path / "n.parquet")
    content = (tmp_path / "n.parquet").read_bytes()
    built = import_text(content, None, node_name="nodes.parquet")
    check_formulas(built.graph)
    formulas = next(repair for repair in built.repairs if repair.kind == "formulas")
    assert str(formulas).endswith("nodes.parquet row 1)")


def test_formulas_are_what_they_mean_in_python() -> None:
    check_formulas(TextGraph.from_pandas(pa.Table.from_pylist(FORMULAS)))
    graph = TextGraph.from_arrays(["a", "b"], [("007", '="008"')], ids=['="007"', "008"])
    assert graph.ids.to_pylist() == ["007", "008"]
    assert graph.adjacency.edges().tolist() == [[0, 1]]


def test_a_split_may_name_ids_as_formulas(import_text: Import, tmp_path: Path) -> None:
    parts = {"train": ['="1"', "2"], "val": ["3"]}
    (tmp_path / "splits.json").write_text(json.dumps(parts))
    nodes = NODES.replace("\n3,", '\n"=""3""",')
    built = import_text(nodes, EDGES, splits=SplitFile(tmp_path / "splits.json"))
    assert {name: rows.tolist() for name, rows in built.graph.splits.items()} == {
        "train": [0, 1],
        "val": [2],
    }


def test_no_formula_is_looked_for_where_there_is_none(import_text: Import) -> None:
    assert "formulas" not in remarks_of(import_text(NODES, EDGES))


def test_a_rounded_id_is_not_two_nodes(import_text: Import) -> None:
    """Of the long numbers of several nodes a spreadsheet writes the same few digits."""
    for other in ("a valve", "a pump"):
        with pytest.raises(
            BadInputError,
            match=r"nodes\.csv:3, column 'id': id '1\.23457E\+11' is already at .*nodes\.csv:2; "
            "it is a number that a spreadsheet has rounded",
        ):
            import_text(f"id,text\n1.23457E+11,a pump\n1.23457E+11,{other}\n", None)


def test_rounded_ids_are_reported(import_text: Import) -> None:
    built = import_text(ROUNDED, "source,target\n1.23457E+11,1.23458E+11\n")
    remark = next(words for words in built.remarks if "rounded" in words)
    assert remark.startswith("2 ids are numbers that a spreadsheet has rounded")
    assert "'1.23457E+11'" in remark
    assert "nodes.csv:2, column 'id'" in remark


def test_digits_that_a_spreadsheet_has_cut_are_reported(import_text: Import) -> None:
    built = import_text("id,text\n1234567890123450000,a\n1234567890123460000,b\n", None)
    assert any("2 ids are numbers that a spreadsheet has rounded" in r for r in built.remarks)
    whole = import_text("id,text\n1234567890123450000,a\n1234567890123456789,b\n", None)
    assert not any("rounded" in remark for remark in whole.remarks)


@pytest.mark.parametrize(
    ("nodes", "edge", "problem"),
    [
        (ROUNDED, "123457000001,123458000001", r"nodes' ids, such as '1.23457E\+11' \(.*:2, col"),
        (
            "id,text\n123457000001,a\n123458000001,b\n",
            "1.23457E+11,123458000001",
            "it is a number of column 'source' that a spreadsheet has rounded",
        ),
        (
            "id,text\n1234567890123456789,a\n3,b\n",
            "3,1234567890123450000",
            "'1234567890123456789' is, and a spreadsheet may have rounded the number of column "
            "'target'",
        ),
    ],
)
def test_an_edge_of_a_rounded_id_is_told_why(
    import_text: Import, nodes: str, edge: str, problem: str
) -> None:
    with pytest.raises(BadInputError, match=rf"edges\.csv:2: .*no node's id.*{problem}.*text"):
        import_text(nodes, f"source,target\n{edge}\n")


DATES = "id,text\n{},a gene\nTP53,another\n"


@pytest.mark.parametrize("date", ["1-Mar", "01-Mar", "Mar-01", "1-Mar-24", "1-Mar-2024"])
def test_ids_that_a_spreadsheet_made_dates_of_are_reported(import_text: Import, date: str) -> None:
    remark = next(
        words for words in import_text(DATES.format(date), None).remarks if "date" in words
    )
    assert remark.startswith("1 ids are dates as a spreadsheet writes them")
    assert date in remark
    assert "nodes.csv:2, column 'id'" in remark


@pytest.mark.parametrize("name", ["MARCH1", "1-MARS", "Mar-1", "2024-03-01", "41-Mar", "1-3"])
def test_other_ids_are_not_taken_for_dates(import_text: Import, name: str) -> None:
    assert not any("date" in words for words in import_text(DATES.format(name), None).remarks)


@pytest.mark.parametrize(
    ("node", "end", "problem"),
    [
        ("1-Mar", "MARCH1", r"nodes' ids, such as '1-Mar' \(.*csv:2, column 'id'\), are dates"),
        ("1-Mar", "1/3", "are dates, perhaps a spreadsheet's"),
        ("MARCH1", "1-Mar", "it is a date in column 'target', perhaps a spreadsheet's"),
        ("1-Mar", "BRCA1", "add the node"),
        ("1-Mar", "2-Mar", "add the node"),
    ],
)
def test_an_edge_that_a_date_misses_is_told_why(
    import_text: Import, node: str, end: str, problem: str
) -> None:
    with pytest.raises(BadInputError, match=rf"edges\.csv:2: .*{end}.*no node's id.*{problem}"):
        import_text(DATES.format(node), f"source,target\nTP53,{end}\n")


@pytest.mark.parametrize(
    ("node", "end"), [("1,234", "1234"), ("1234567", "1 234 567"), ("1\u00a0234", "1234")]
)
def test_an_id_whose_thousands_are_set_apart_is_told(
    import_text: Import, node: str, end: str
) -> None:
    message = re.escape(
        f"though {node!r} is, which is the same number with its thousands set apart"
    )
    with pytest.raises(BadInputError, match=message):
        import_text(f'id,text\n"{node}",a\n3,b\n', f'source,target\n3,"{end}"\n')
    with pytest.raises(BadInputError, match="no node's id; add the node"):
        import_text(f'id,text\n"{node}",a\n3,b\n', 'source,target\n3,"12,34"\n')


def test_whole_floats_beside_words_are_whole_numbers(import_text: Import) -> None:
    nodes = "id,text,label\n1.0,oak and ash,tree\n2.0,salt,stone\nA7,elm,tree\n"
    for edge in ("1,A7", "1.0,A7"):
        built = import_text(nodes, f"source,target\n{edge}\n")
        assert built.graph.ids.to_pylist() == ["1", "2", "A7"]
        assert edges(built) == [[0, 2]]
        assert built.graph.notes["whole_float_ids"] >= 2


def test_one_node_of_two_files_is_not_doubled_by_a_fraction_of_zero(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(NODES)
    (tmp_path / "b.csv").write_text("id,text,label\n2.0,salt,stone\nA7,fir,tree\n")
    (tmp_path / "edges.csv").write_text("source,target\n2.0,A7\n1,2\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    built = import_graph(
        paths,
        [tmp_path / "edges.csv"],
        node_fields=NodeFields(),
        edge_fields=EdgeFields(),
        rules=Rules(),
    )
    assert built.graph.ids.to_pylist() == ["1", "2", "3", "A7"]
    assert built.graph.texts.to_pylist() == [*TEXTS, "fir"]
    assert names(built.graph) == ["tree", "stone", "tree", "tree"]
    assert sorted(edges(built)) == [[0, 1], [1, 3]]


def test_numbers_with_fractions_stay_names(import_text: Import) -> None:
    built = import_text("id,text\n1.0,a\n1.1,b\nnext,c\n", None)
    assert built.graph.ids.to_pylist() == ["1.0", "1.1", "next"]
