"""Which columns of a table are read, and with which role, by the options of `predict`."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bundles import TinyBundle
from tests.predicting import Ended, expected, jsonl, says, table
from understudy.engine import Node


def test_a_table_without_a_header_and_one_of_texts_alone(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    (tmp_path / "ids.csv").write_text("node-1\nnode-2\n")
    status, output = call(tiny_bundle.folder, tmp_path / "ids.csv", tmp_path / "a.jsonl")
    assert status == 1
    assert says(output, "if this is no header but data, use --no-header")
    words = (tiny_bundle.folder, tmp_path / "ids.csv", tmp_path / "a.jsonl", "--no-header")
    assert call(*words)[0] == 0
    assert [row["id"] for row in jsonl(tmp_path / "a.jsonl")] == ["node-1", "node-2"]
    (tmp_path / "ids.csv").write_text("name\nnode-2\n")  # nor is a usual name one, if it is said
    assert call(*words, "--force")[0] == 0
    assert [row["id"] for row in jsonl(tmp_path / "a.jsonl")] == ["name", "node-2"]
    (tmp_path / "texts.tsv").write_text("Text\nhttp socket\n")
    status, output = call(tiny_bundle.folder, tmp_path / "texts.tsv", tmp_path / "b.jsonl")
    assert status == 0
    assert says(output, "texts are classified without neighbours")
    (answer,) = jsonl(tmp_path / "b.jsonl")
    (best,) = expected(tiny_bundle, [Node(text="http socket")])
    assert [(answer["label"], answer["score"])] == best


def test_a_column_that_no_json_line_has_is_told(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "node-1"}\n')
    words = (tiny_bundle.folder, tmp_path / "in.jsonl", tmp_path / "o.csv")
    status, output = call(*words, "--neighbors-field", "links")
    assert status == 1
    assert says(output, "no column 'links', which --neighbors-field names")
    # It is told before there is a bundle to answer, and a later line may be the one that has it.
    status, output = call(tmp_path / "bundle", *words[1:], "--neighbors-field", "links")
    assert says(output, "no column 'links', which --neighbors-field names")
    lines = '{"id": "node-1"}\n{"text": "http", "Links": ["node-1"]}\n'
    (tmp_path / "in.jsonl").write_text(lines)
    assert call(*words, "--neighbors-field", "links")[0] == 0


def test_columns_are_looked_for_before_a_bundle_is_opened(
    tmp_path: Path, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text("number\n1\n")
    status, output = call(tmp_path / "bundle", tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 1
    assert says(output, "in.csv: no column of ids or of texts; the columns are: number")


def test_bytes_of_a_parquet_file_are_texts_as_in_an_import(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    texts = pa.array([b"http socket", b"\xff"], pa.binary())
    pq.write_table(pa.table({"text": texts}), tmp_path / "in.parquet")
    status, output = call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "out.jsonl")
    assert status == 0
    assert says(output, "in.parquet row 2: bad_row: column 'text' must be a string")
    answers = jsonl(tmp_path / "out.jsonl")
    (best,) = expected(tiny_bundle, [Node(text="http socket")])
    assert [(answers[0]["label"], answers[0]["score"])] == best


def test_stored_texts_can_be_looked_up_by_their_ids(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text("id,text\nnode-1,matrix proof atom\n")
    words = (tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "o.jsonl", "--text-field", "none")
    assert call(*words)[0] == 0
    (answer,) = jsonl(tmp_path / "o.jsonl")
    (best,) = expected(tiny_bundle, [Node(id="node-1")])
    assert [(answer["label"], answer["score"])] == best


def test_ids_that_their_type_may_have_rounded_name_no_node(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    ids = pa.array([1.0, 2.0**24, None], pa.float32())
    pq.write_table(pa.table({"id": ids}), tmp_path / "in.parquet")
    status, output = call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "a.jsonl")
    assert status == 0
    assert says(output, "in.parquet row 2: bad_row: column 'id' must be at most 16,777,215, above")
    errors = [row["error"].partition(":")[0] for row in jsonl(tmp_path / "a.jsonl")]
    assert errors == ["unknown_node", "bad_row", "bad_row"]
    lists = pa.array([[2.0**24]], pa.list_(pa.float32()))
    pq.write_table(pa.table({"text": ["http"], "neighbors": lists}), tmp_path / "in.parquet")
    assert call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "b.jsonl")[0] == 0
    (answer,) = jsonl(tmp_path / "b.jsonl")
    assert "column 'neighbors' must be at most 16,777,215" in str(answer["error"])


def test_bytes_in_a_dictionary_are_ids_too(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    ids = pa.array([b"node-1", b"node-2", b"node-1"]).dictionary_encode()
    pq.write_table(pa.table({"id": ids}), tmp_path / "in.parquet")
    assert call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "a.jsonl")[0] == 0
    assert [row["error"] for row in jsonl(tmp_path / "a.jsonl")] == [None] * 3


def test_rows_are_asked_about_by_ids_that_are_an_index_of_pandas(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    texts = [f"http socket {number}" for number in range(5_000)]
    asked = pandas.DataFrame({"id": range(1, 5_001), "text": texts}).set_index("id")
    asked.to_parquet(tmp_path / "in.parquet")
    assert call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "out.jsonl")[0] == 0
    assert [row["id"] for row in jsonl(tmp_path / "out.jsonl")] == list(map(str, asked.index))


def test_decimals_that_a_gap_makes_of_whole_numbers_are_told_once(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    """As pandas writes a column of whole numbers with a gap; without the graph's ids, which a
    service has, nothing says that they are meant."""
    (tmp_path / "in.csv").write_text("text,neighbors\na pump,7.0\na valve,\na pipe,8.0\n")
    status, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 0
    assert [row["error"][:16] for row in table(tmp_path / "out.csv")] == [
        "unknown_neighbor",
        "",
        "unknown_neighbor",
    ]
    assert says(output, "7.0 is a decimal: if 7 is meant, write whole numbers; an empty cell")
    assert output.count("is meant") == 1
    (tmp_path / "in.csv").write_text("id\nno-such-7.0\n7.5\n-9.0\n8.0\n")
    status, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "ids.csv")
    assert status == 0
    assert says(output, "-9.0 is a decimal: if -9 is meant, write whole numbers")
    assert output.count("is meant") == 1


@pytest.mark.parametrize("title", ["Answers of May\n", "Answers of May,\n\n", "# by hand\n"])
def test_a_title_above_the_header_is_told_before_every_row_is_a_bad_one(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended], title: str
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f"{title}id,text\na,http socket\nb,matrix proof\n")
    status, output = call(tiny_bundle.folder, source, tmp_path / "out.csv")
    assert status == 1
    line = 1 + title.count("\n")
    assert says(output, f"in.csv:1: the first line is no header, but line {line} looks like it")
    assert not (tmp_path / "out.csv").exists()
    source.write_text("Answers of May\na,http socket\n")
    status, output = call(tiny_bundle.folder, source, tmp_path / "out.csv")
    assert status == 1
    assert says(output, "no column of ids or of texts; the columns are: Answers of May")


def test_formulas_that_keep_zeros_name_nodes_as_in_an_import(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    (tmp_path / "in.csv").write_text('id\n="node-1"\n"=""node-2"""\n')
    assert call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "a.jsonl")[0] == 0
    pq.write_table(pa.table({"id": ['="node-1"', "node-2"]}), tmp_path / "in.parquet")
    assert call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "b.jsonl")[0] == 0
    for name in ("a.jsonl", "b.jsonl"):
        answers = jsonl(tmp_path / name)
        assert [row["id"] for row in answers] == ["node-1", "node-2"]
        assert [row["error"] for row in answers] == [None, None]
    row = json.dumps({"text": "http socket", "neighbors": ['="node-1"']})
    (tmp_path / "in.jsonl").write_text(row + "\n")
    assert call(tiny_bundle.folder, tmp_path / "in.jsonl", tmp_path / "c.jsonl")[0] == 0
    (answer,) = jsonl(tmp_path / "c.jsonl")
    (best,) = expected(tiny_bundle, [Node(text="http socket", neighbors=("node-1",))])
    assert [(answer["label"], answer["score"])] == best


def test_ids_that_begin_like_formulas_are_given_back_as_they_are(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    ids = ["=1+1", "+7", "-7", "@home", '=HYPERLINK("x")', "'=1"]
    rows = [{"id": name, "text": f"{name} http socket"} for name in ids]
    with (tmp_path / "in.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(rows)
    for suffix in ("csv", "tsv", "jsonl"):
        out = tmp_path / f"out.{suffix}"
        assert call(tiny_bundle.folder, tmp_path / "in.csv", out)[0] == 0
        with out.open(newline="") as file:
            delimiter = "," if suffix == "csv" else "\t"
            answers = (
                jsonl(out) if suffix == "jsonl" else list(csv.DictReader(file, delimiter=delimiter))
            )
        assert [row["id"] for row in answers] == ids
    best = expected(tiny_bundle, [Node(text=row["text"]) for row in rows])
    found = [[(row["label"], row["score"])] for row in jsonl(tmp_path / "out.jsonl")]
    assert found == best
