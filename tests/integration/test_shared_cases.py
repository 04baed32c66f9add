"""Inputs in the formats of other projects, if they lie beside this one.

Every case has a graph that it must give, in part or whole, or the words of its error.
"""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from understudy.cli import main
from understudy.graph import TextGraph, load_graph

ROOT = Path(__file__).resolve().parents[2]
CASES = Path(os.environ.get("UNDERSTUDY_CASES", ROOT.parent / "shared" / "cases")) / "data"
pytestmark = pytest.mark.skipif(
    not (CASES / "INDEX.tsv").is_file(),
    reason=f"no cases in {CASES}; set UNDERSTUDY_CASES to the folder that has data/INDEX.tsv",
)

IMPORT = "import OUT --nodes n.csv --edges e.csv"
PYG, OGB = "pyg OUT g.pt", "ogb OUT ds --texts titleabs.tsv"
PARQUET = "import OUT --nodes n.parquet --edges e.parquet"
SIX = ["Rule", "Theory", "Neural", "Rule", "Theory", "Neural"]
NUMBERS = ["2", "0", "1", "2", "0", "1"]
GIVEN = {"train": [0, 1, 2], "val": [3], "test": [4, 5]}
FOUR = ["alpha text one", "beta text two", "gamma text three", "delta text four"]
PATH = [(0, 1), (1, 2), (2, 3)]


@dataclass(frozen=True)
class Case:
    """What a command must give; what is None is not looked at."""

    command: str
    error: str = ""
    labels: Sequence[str | None] | None = None
    texts: list[str] | None = None
    ids: list[str] | None = None
    splits: dict[str, list[int]] | None = None
    edges: list[tuple[int, int]] | None = None
    notes: dict[str, int] | None = None
    printed: tuple[str, ...] = field(default=())  # in what the command prints


EXPECTED: dict[str, Case] = {
    "pyg_label_names_dict_name": Case(PYG, labels=SIX, printed=("class names=label_names",)),
    "pyg_label_names_str": Case(PYG, "'label_names' must be a list of class names"),
    "pyg_set": Case(PYG, "a set, which has no order"),
    "pyg_label_name": Case(PYG, labels=SIX, printed=("class names=label_name",)),
    "pyg_label_names_empty_one": Case(
        PYG, labels=["Rule", "Theory", "1", "Rule", "Theory", "1"], notes={"unnamed_classes": 1}
    ),
    "pyg_label_names_dup": Case(PYG, "the classes 0 and 1 have one name, 'Theory'"),
    "pyg_label_names_nan": Case(
        PYG, labels=["Rule", "Theory", "1", "Rule", "Theory", "1"], notes={"unnamed_classes": 1}
    ),
    "pyg_graphllm": Case(
        PYG,
        labels=SIX,
        splits=GIVEN,
        printed=("split as given", "split 0 of 10", "not read: raw_text, category_names"),
    ),
    "pyg_split_idx": Case(PYG, labels=NUMBERS, splits=GIVEN, printed=("split: split_idx",)),
    "pyg_mask_idx_N": Case(
        PYG, splits={"train": [0, 1, 2, 3, 4, 5]}, printed=("train_mask, read as node positions",)
    ),
    "csv_nan_label": Case(
        IMPORT,
        labels=[None, "x", None, None, "unknown", "y", None, None],
        notes={"missing_labels": 4, "negative_labels": 1},
        printed=("read as none: 4 (first: n.csv:2)",),
    ),
    "csv_nan_text": Case(IMPORT, "n.csv:2: node '1' has no text (and 4 more)"),
    "csv_title_content": Case(
        IMPORT,
        texts=["Title one\nBody one", "Title two\nBody two"],
        printed=("text=title+content",),
    ),
    "csv_title_text": Case(
        IMPORT, texts=["Title one\nBody one", "Title two\nBody two"], printed=("text=title+text",)
    ),
    "csv_tape_products": Case(
        f"{IMPORT} --id-field nid",
        ids=["0", "1"],
        texts=["Widget\nBlue widget", "Gadget\nRed gadget"],
        labels=[None, None],
        printed=("no labels", "not read: uid"),
    ),
    "splits_stale_id": Case(
        f"{IMPORT} --splits s.json", "s.json: train[3] is 4, which is no node's id, unlike 6"
    ),
    "pyg_list_graphs": Case(PYG, "a list of 2 values (Data); one graph can be read"),
    "ogb_texts_dup": Case(OGB, "titleabs.tsv:2: id '900' is already at titleabs.tsv:1"),
    "csv_group_column": Case(IMPORT, printed=("train 24, val 8, test 8", "not read: group")),
    "csv_all_unique_labels": Case(IMPORT, printed=("50 classes for 50 labelled nodes",)),
    "csv_int_label_meaning": Case(
        IMPORT,
        labels=["Theory", "Neural", "Theory"],
        printed=("label=label_name", "label names the numbers in label"),
    ),
    "csv_cstag_webkb": Case(
        IMPORT,
        labels=["student", "course", "faculty"],
        texts=["A page;more", "B page", "C page"],
        edges=[(0, 1), (0, 2)],
        printed=("label=category", "not read: url, len, neighbor_ids"),
    ),
    "pyg_y_huge": Case("pyg OUT g11.pt", labels=["21579957011", "172282", "172282"]),
    "pq_dup_cols": Case(PARQUET, "n.parquet: there are two columns 'text'"),
    "csv_fold_column": Case(
        IMPORT, labels=["x", "y"] * 10, printed=("random split", "not read: fold")
    ),
    "csv_fold_column_off": Case(
        f"{IMPORT} --split-field none", printed=("random split", "not read: fold")
    ),
    "csv_set_column": Case(IMPORT, labels=["x", "y"] * 10, printed=("not read: set",)),
    "class_outside_splits": Case(
        f"{IMPORT} --unseen-labels drop",
        labels=[*["x"] * 4, *["y"] * 4] * 5 + [None],
        notes={"unseen_labels": 1},
    ),
    "pyg_glbench_list10": Case(PYG, labels=SIX, splits=GIVEN, printed=("split 0 of 10",)),
    "pyg_mask_10_N": Case(PYG, splits=GIVEN, printed=("split 0 of 10",)),
    "pyg_y_numpy": Case(PYG, labels=NUMBERS),
    "pyg_label_names_np": Case(PYG, labels=SIX),
    "pyg_hetero": Case(PYG, "a graph of several types of nodes or edges"),
    "pyg_hetero_dict": Case(PYG, "torch.save({**values['paper'], **values[('paper', 'cites',"),
    "pyg_proto4": Case(PYG, labels=SIX),
    "pyg_adj_csr": Case(
        PYG, labels=NUMBERS, edges=[*PATH, (3, 4), (4, 5)], printed=("edges=adj_t",)
    ),
    "pyg_y_onehot": Case(PYG, labels=SIX),
    "pyg_y_strings": Case(PYG, labels=["a", "b", None, "a", "b", "c"]),
    "pyg_y_bf16": Case(PYG, labels=NUMBERS),
    "pyg_taglas": Case(f"{PYG} --text-key x", labels=SIX, printed=("text=x+node_map",)),
    "pyg_texts_empty_list": Case(PYG, "'raw_texts' is empty"),
    "hetero_missing_text_id": Case(
        "import OUT --nodes papers.csv --nodes authors.csv --edges e.csv --missing-text id",
        texts=["a b", "c d", "a1", "a2"],
        edges=[(0, 2), (1, 3)],
        notes={"texts_from_ids": 2},
    ),
    "ogb_texts_csv_tape": Case(
        "ogb OUT ds --texts t.csv",
        ids=["900", "800", "700", "600"],
        texts=[f"T{i}\nC{i}" for i in range(4)],
        printed=("id=uid, text=title+content", "not read: nid"),
    ),
    "ogb_wrong_level": Case(OGB, "did you mean ds/ogbn_x?"),
    "ogb_ok": Case(
        OGB,
        labels=["arxiv cs lo", "arxiv cs na", "arxiv cs mm", "arxiv cs lo"],
        splits={"train": [0, 1, 2], "val": [3], "test": []},
        printed=("split: folder split/time",),
    ),
    "csv_semicolon": Case(
        IMPORT, texts=FOUR, labels=["x", "y"] * 2, edges=PATH, printed=("delimiter semicolon",)
    ),
    "csv_tab_in_csv": Case(
        IMPORT, texts=FOUR, labels=["x", "y"] * 2, edges=PATH, printed=("delimiter tab",)
    ),
    "csv_pipe": Case(
        IMPORT, texts=FOUR, labels=["x", "y"] * 2, edges=PATH, printed=("delimiter pipe",)
    ),
    "csv_backslash_quotes": Case(
        IMPORT,
        ids=["1", "2"],
        texts=['he said "hi" there', "b"],
        labels=["x", "y"],
        printed=("backslashes",),
    ),
    "csv_cr_only": Case(IMPORT, texts=FOUR, labels=["x", "y"] * 2, edges=PATH),
    "csv_utf16": Case(IMPORT, "UTF-16"),
    "csv_header_spaces": Case(
        IMPORT, ids=["1", "2"], texts=["a b", "c d"], labels=["x", "y"], edges=[(0, 1)]
    ),
    "csv_space_after_comma": Case(IMPORT, texts=["a, b", "c"], labels=["x", "y"], edges=[(0, 1)]),
    "json_array_pretty": Case(
        "import OUT --nodes n.json --edges e.jsonl",
        texts=["alpha one", "beta two"],
        labels=["x", "y"],
        edges=[(0, 1)],
    ),
    "json_nodelink": Case(
        "import OUT --nodes g.json --edges g.json",
        texts=["alpha one", "beta two"],
        labels=["x", "y"],
        edges=[(0, 1)],
    ),
    "json_nodelink_pretty": Case(
        "import OUT --nodes g.json --edges g.json",
        texts=["alpha one", "beta two"],
        labels=["x", "y"],
        edges=[(0, 1)],
    ),
    "jl_neighbors_only": Case(
        "import OUT --nodes n.jsonl",
        labels=["2", "0"],
        edges=[(0, 1)],
        printed=("neighbors=neighbors",),
    ),
    "csv_cstag_noedgefile": Case(
        "import OUT --nodes n.csv",
        labels=["student", "course", "faculty"],
        edges=[(0, 1), (0, 2)],
        printed=("neighbors=neighbor_ids",),
    ),
    "csv_no_edges_file": Case(
        "import OUT --nodes n.csv", texts=FOUR, edges=[], printed=("the graph has no edges",)
    ),
    "jl_label_float": Case(
        "import OUT --nodes n.jsonl --edges e.jsonl", labels=["0", None], edges=[(0, 1)]
    ),
    "jl_amazon_style": Case(
        "import OUT --nodes n.jsonl --edges e.jsonl --id-field asin",
        "n.jsonl:1: column 'category' must be one label, not several (--label-field none",
    ),
    "pq_float_label_nan": Case(PARQUET, labels=["0", None, "1"]),
    "pq_bool_label": Case(PARQUET, labels=["true", "false", "true"]),
    "pq_dir": Case(
        "import OUT --nodes n --edges e.parquet", labels=["x", "y", "x"], edges=PATH[:2]
    ),
    "pq_dir_named": Case(PARQUET, labels=["x", "y", "x"], edges=PATH[:2]),
    "pq_float_ids": Case(PARQUET, ids=["1", "2", "3"], edges=PATH[:2]),
    "pq_uuid": Case(PARQUET, "column 'id' must hold strings or whole numbers"),
    "txt_snap": Case("import OUT --nodes n.csv --edges e.txt", texts=FOUR, edges=PATH[:2]),
    "txt_space": Case("import OUT --nodes n.csv --edges e.edgelist", edges=PATH[:2]),
    "cora_raw": Case("import OUT --nodes cora.content --edges cora.cites", "unknown format"),
    "csv_zip": Case("import OUT --nodes n.csv.zip --edges e.csv", texts=FOUR, edges=PATH),
    "csv_neo4j_admin": Case(
        IMPORT,
        ids=["p1", "p2"],
        texts=["T one\nA one", "T two\nA two"],
        edges=[(0, 1)],
        printed=("id=paperId:ID", "not read: :LABEL", "source=:START_ID"),
    ),
    "csv_neo4j_id_ID": Case(
        f"{IMPORT} --source-field :START_ID --target-field :END_ID",
        ids=["p1", "p2"],
        texts=["T one", "T two"],
        labels=["x", "y"],
        edges=[(0, 1)],
        printed=("not read: name, :LABEL",),
    ),
    "csv_neptune": Case(
        IMPORT,
        ids=["v1", "v2"],
        texts=["T one", "T two"],
        edges=[(0, 1)],
        printed=("source=~from, target=~to", "not read: ~label, name:String"),
    ),
    "edges_source_destination": Case(IMPORT, ids=["A", "B"], edges=[(0, 1)]),
    "edges_musae": Case(IMPORT, texts=FOUR, edges=[(0, 1)], printed=("source=id_1, target=id_2",)),
}


def cases() -> list[str]:
    index = CASES / "INDEX.tsv"
    if not index.is_file():
        return []
    lines = index.read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t")[1] for line in lines if line.strip()]


def names(graph: TextGraph) -> list[str | None]:
    return [None if label < 0 else graph.label_names[label] for label in graph.labels]


LOOKS: dict[str, Callable[[TextGraph], object]] = {
    "labels": names,
    "texts": lambda graph: graph.texts.to_pylist(),
    "ids": lambda graph: graph.ids.to_pylist(),
    "splits": lambda graph: {name: list(nodes) for name, nodes in graph.splits.items()},
    "edges": lambda graph: [tuple(edge) for edge in graph.adjacency.edges().tolist()],
    "notes": lambda graph: dict(graph.notes),
}


@pytest.mark.parametrize("name", cases())
def test_a_case_gives_its_expected_result(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if ".pt" in EXPECTED[name].command:
        pytest.importorskip("torch_geometric", reason="PyG is not installed")
    case, out = EXPECTED[name], tmp_path / "graph"
    monkeypatch.chdir(CASES / name)
    command = ["data", *shlex.split(case.command.replace("OUT", str(out)))]
    with pytest.raises(SystemExit) as ended:
        main(command)
    printed = capsys.readouterr()
    if case.error:
        assert ended.value.code == 1, printed.out
        last = printed.err.strip().rpartition("\n")[2]
        assert last.startswith("error: ")
        assert case.error in last
        assert not out.exists()
        return
    assert ended.value.code == 0, printed.err
    graph = load_graph(out)
    for look, of in LOOKS.items():
        expected = getattr(case, look)
        if expected is not None:
            assert of(graph) == expected, look
    for words in case.printed:
        assert words in printed.out
