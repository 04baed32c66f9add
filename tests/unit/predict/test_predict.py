"""`understudy predict` with a bundle opened in process."""

import gzip
import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.bundles import LABELS, NODES, TinyBundle
from tests.predicting import Ended, expected, jsonl, says, table
from understudy.bundle import Manifest, open_bundle, write_bundle
from understudy.cli import main
from understudy.engine import Node
from understudy.graph.snapshot import save_snapshot
from understudy.graph.text_graph import UNLABELED
from understudy.predict import run as running
from understudy.predict.answering import InProcess
from understudy.predict.errors import OutputError
from understudy.predict.formats import format_of
from understudy.predict.output import open_parts


def test_ids_of_a_csv_are_looked_up(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    ids = [f"node-{number}" for number in range(NODES)]
    (tmp_path / "in.csv").write_text("Node ID,note\n" + "".join(f"{i},x\n" for i in ids))
    status, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "out.csv")
    assert status == 0
    assert says(output, "in.csv: id=Node ID; not read: note")
    rows = table(tmp_path / "out.csv")
    assert list(rows[0]) == ["row", "id", "label", "score", "route", "graph_version", "error"]
    assert [row["id"] for row in rows] == ids
    assert [row["row"] for row in rows] == [str(line) for line in range(2, NODES + 2)]
    labels = [LABELS[row] for row in tiny_bundle.logits.argmax(axis=1)]
    assert [row["label"] for row in rows] == labels
    assert {row["route"] for row in rows} == {"student"}
    assert [path.name for path in tmp_path.iterdir() if path.name[0] == "."] == []


def test_texts_with_neighbours_are_classified_and_top_labels_listed(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    lines = [
        {"key": "new", "title": "http socket", "links": ["node-1", "node-2"]},
        {"title": "matrix proof", "links": []},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = ("--neighbors-field", "links", "--top", "2")
    status, output = call(tiny_bundle.folder, tmp_path / "in.jsonl", tmp_path / "o.jsonl", *words)
    assert status == 0
    assert says(output, "id=key, text=title, neighbors=links")
    assert says(output, "--text-field none")
    answers = jsonl(tmp_path / "o.jsonl")
    nodes = [Node(text="http socket", neighbors=("node-1", "node-2")), Node(text="matrix proof")]
    tops = [[(e["label"], e["score"]) for e in answer["top"]] for answer in answers]
    assert tops == expected(tiny_bundle, nodes, 2)
    assert [answer["id"] for answer in answers] == ["new", None]


def test_a_table_of_stored_nodes_with_their_texts_is_told_as_one(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    words = "'node-1' is a stored node, but is classified by its text"
    (tmp_path / "in.csv").write_text("id,text\nnode-1,http socket\nnode-2,matrix proof\n")
    status, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "texts.csv")
    assert status == 0
    assert says(output, f"in.csv:2: {words}")
    more = ("--text-field", "none")
    _, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "ids.csv", *more)
    assert not says(output, words)
    (tmp_path / "in.csv").write_text("id,text\nnew-1,http socket\nnode-2,matrix proof\n")
    _, output = call(tiny_bundle.folder, tmp_path / "in.csv", tmp_path / "new.csv")
    assert not says(output, words)


@pytest.mark.parametrize("name", ["o.csv.gz", "o.tsv", "o.jsonl.xz", "o.ndjson.bz2", "o.parquet"])
def test_every_format_tells_the_same(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended], name: str
) -> None:
    asked = pa.table({"id": ["node-1", "nobody"], "x": [1, 2]})
    pq.write_table(asked, tmp_path / "in.parquet")
    assert call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / name, "--top", 2)[0] == 0
    assert (
        call(tiny_bundle.folder, tmp_path / "in.parquet", tmp_path / "o.jsonl", "--top", 2)[0] == 0
    )
    again = tmp_path / "again.jsonl"
    good, bad = jsonl(tmp_path / "o.jsonl")
    assert len(good["top"]) == 2
    assert bad["error"].startswith("unknown_node: ")
    # What was written can be read again as input.
    assert call(tiny_bundle.folder, tmp_path / name, again)[0] == 0
    assert [row["id"] for row in jsonl(again)] == ["node-1", "nobody"]
    if name == "o.parquet":
        assert pq.read_table(tmp_path / name).to_pylist() == [good, bad]


def test_a_bad_row_costs_its_row_and_is_told(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,text,neighbors\nnode-1,,\na,b,c,d\n,,\nx,http,nobody;node-1\nnode-2,,\n")
    status, output = call(tiny_bundle.folder, source, tmp_path / "out.jsonl")
    assert status == 0
    answers = jsonl(tmp_path / "out.jsonl")
    errors = [answer["error"] and answer["error"].partition(":")[0] for answer in answers]
    assert errors == [None, "bad_row", "bad_row", "unknown_neighbor", None]
    assert [answer["row"] for answer in answers] == [2, 3, 4, 5, 6]
    assert says(output, f"warning: {source}:3: bad_row: 4 fields where the header has 3")
    unknown = "unknown_neighbor: the neighbor 'nobody' is not a stored node"
    assert says(output, f"warning: {source}:5: {unknown}")
    assert says(output, "5 rows; 3 of them could not be answered")
    status, output = call(tiny_bundle.folder, source, tmp_path / "strict.jsonl", "--strict")
    assert status == 1
    assert says(output, f"error: {source}:3: bad_row: 4 fields")
    assert not (tmp_path / "strict.jsonl").exists()


def test_bad_json_lines_cost_their_rows(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('[1]\n{"id": "node-1"}\n{"id": \n{"id": {}}\n{"name": "node-2"}\n')
    assert call(tiny_bundle.folder, source, tmp_path / "out.jsonl")[0] == 0
    answers = jsonl(tmp_path / "out.jsonl")
    assert [bool(answer["error"]) for answer in answers] == [True, False, True, True, False]
    assert [answer["row"] for answer in answers] == [1, 2, 3, 4, 5]


def test_an_array_of_objects_is_read_as_lines_of_them_are(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    source = tmp_path / "in.json"
    source.write_text('[{"id": "node-1"},\n {"text": "http", "links": ["node-2"], "age": 3}]')
    status, output = call(
        tiny_bundle.folder, source, tmp_path / "out.jsonl", "--neighbors-field", "links"
    )
    assert status == 0
    asked = [Node(id="node-1"), Node(text="http", neighbors=("node-2",))]
    answers = [(answer["label"], answer["score"]) for answer in jsonl(tmp_path / "out.jsonl")]
    assert answers == [best for (best,) in expected(tiny_bundle, asked)]
    # The keys of the first object are not those of all.
    assert says(output, f"{source}: id=id, text=text, neighbors=links; not read: age")
    source.write_text('[{"id": "node-1"}, 7]')
    status, output = call(tiny_bundle.folder, source, tmp_path / "bad.jsonl")
    assert status == 1
    assert says(output, f"error: {source} item 2: expected a JSON object")


@pytest.mark.parametrize("name", ["in.csv", "in.parquet"])
def test_two_columns_of_one_name_are_refused(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended], name: str
) -> None:
    (tmp_path / "in.csv").write_text("id,id\nnode-1,node-2\n")
    ids = pa.array(["node-1"])
    pq.write_table(pa.Table.from_arrays([ids, ids], names=["id", "id"]), tmp_path / "in.parquet")
    status, output = call(tiny_bundle.folder, tmp_path / name, tmp_path / "out.jsonl")
    assert status == 1
    assert says(output, "there are two columns 'id'")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_answers_on_stdout_end_with_how_many_failed(
    tmp_path: Path, tiny_bundle: TinyBundle, capsysbinary: pytest.CaptureFixture[bytes], kind: str
) -> None:
    (tmp_path / "in.csv").write_text("id\nnode-1\nnobody\n")
    with pytest.raises(SystemExit) as ended:
        main(
            ["predict", str(tiny_bundle.folder), str(tmp_path / "in.csv"), "--output-format", kind]
        )
    assert not ended.value.code
    errors = capsysbinary.readouterr().err.decode()
    assert says(errors, "answers are on stdout; 1 of them could not be answered")


def test_a_stdout_that_takes_nothing_is_told_by_its_name(
    tmp_path: Path,
    tiny_bundle: TinyBundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in.csv").write_text("id\nnode-1\n")
    with Path("/dev/full").open("w", buffering=1, encoding="utf-8") as full:
        for stdout, line in (
            (full, "error: stdout cannot be written: No space left on device"),
            (None, "error: stdout is closed, so answers cannot be written there; give OUT"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", stdout)
                with pytest.raises(SystemExit) as ended:
                    main(["predict", str(tiny_bundle.folder), str(tmp_path / "in.csv")])
            assert ended.value.code == 1
            assert capsys.readouterr().err.splitlines()[-1] == line
        with suppress(OSError):
            full.close()  # which tries to write what is left once more


def test_all_unlabelled_nodes_are_classified(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    folder = tmp_path / "bundle"
    labels = tiny_bundle.graph.labels.copy()
    labels[[3, 7]] = UNLABELED

    def fill(target: Path) -> Manifest:
        shutil.copytree(tiny_bundle.folder, target, dirs_exist_ok=True)
        (target / "manifest.json").unlink()
        save_snapshot(replace(tiny_bundle.graph, labels=labels), target / "graph")
        return open_bundle(tiny_bundle.folder).manifest

    write_bundle(folder, fill)
    assert call(folder, tmp_path / "out.csv", "--unlabeled")[0] == 0
    rows = table(tmp_path / "out.csv")
    assert [row["id"] for row in rows] == ["node-3", "node-7"]
    status, output = call(tiny_bundle.folder, "a.csv", "b.csv", "--unlabeled")
    assert status == 1
    assert says(output, "expected at most OUT beside --unlabeled")


class KilledError(Exception):
    """Stands for a signal in the middle of a run."""


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl.gz", "out.parquet"])
def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path,
    tiny_bundle: TinyBundle,
    call: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    source = tmp_path / "in.csv"
    ids = [f"node-{number % (NODES + 1)}" for number in range(100)]
    source.write_text("id\n" + "".join(f"{i}\n" for i in ids))
    assert call(tiny_bundle.folder, source, tmp_path / "whole" / name)[0] == 0
    monkeypatch.setattr(InProcess, "batch", 8)
    monkeypatch.setattr(running, "PART_ROWS", 16)
    asked: list[int] = []
    plain = InProcess.answer

    def dying(self: InProcess, rows: Any, top_k: int) -> Any:
        asked.extend(row.place for row in rows)
        if len(asked) > 60 and not revived:
            raise KilledError
        return plain(self, rows, top_k)

    revived: list[bool] = []
    monkeypatch.setattr(InProcess, "answer", dying)
    out = tmp_path / name
    status, output = call(tiny_bundle.folder, source, out)
    assert status == 1
    assert says(output, "KilledError")
    assert not out.exists()
    revived.append(True)
    first = len(asked)
    status, output = call(tiny_bundle.folder, source, out)
    assert status == 0
    assert says(output, "48 rows are answered already")
    assert says(output, "100 rows; 2 of them could not be answered")
    assert asked[first] == 50  # line of the 49th row
    if name == "out.parquet":
        assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole" / name))
    else:
        unpack = gzip.decompress if name.endswith(".gz") else bytes
        assert unpack(out.read_bytes()) == unpack((tmp_path / "whole" / name).read_bytes())
    assert [path for path in tmp_path.iterdir() if path.name[0] == "."] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("{bundle}", "{in}", "{out}", "--id-field", "key"),
            "no column 'key', which --id-field names",
        ),
        (("{bundle}", "{in}", "{in}"), "IN and OUT are the same file"),
        (("{bundle}", "{in}", "{out}.xlsx"), "its name must end in .csv, .tsv, .jsonl or .parquet"),
        (("{bundle}", "{in}", "{out}.zip"), "compression is not supported"),
        (("{bundle}", "{in}", "{here}"), "its name must end in"),
        (("{bundle}", "{here}/none.csv"), "none.csv is not a file"),
        (("{bundle}", "https://example.org/rows.csv"), "is a URL, but every stage reads"),
        (("{bundle}", "{in}", "{in}.csv"), "already exists; replace it with"),
        (("{bundle}", "{in}", "{out}", "--route", "auto"), "needs a service's address"),
        (("{bundle}", "{in}", "{out}", "--route", "best"), "--route must be student, teacher"),
        (("{bundle}",), "expected IN, and perhaps OUT; found nothing"),
        (("http://127.0.0.1:9", "--unlabeled"), "--unlabeled needs a bundle's folder"),
        (("{here}/nowhere", "{in}", "{out}"), "is not a bundle"),
        (("localhost:1", "{in}", "{out}", "--ray", "local"), "--ray needs a bundle's folder"),
        (("{bundle}", "{in}", "{out}", "--workers", "2"), "--workers needs --ray"),
        (("{bundle}", "{in}", "--ray", "local", "--threads", "2"), "a worker has one core"),
        (("{bundle}", "-", "--input-format", "xml"), "--input-format must be one of csv, tsv"),
        (("{bundle}", "{in}", "{out}", "--threads", "100000"), "threads must be from 1 to 1,024"),
        (("localhost:1", "{in}", "--threads", "2"), "--threads has no effect here: a service has"),
        (("{bundle}", "{in}", "--key", "k", "--timeout", "9"), "--key, --timeout has no effect"),
        (
            ("{bundle}", "--unlabeled", "--no-header"),
            "--header/--no-header has no effect here: --u",
        ),
        (("{bundle}", "{in}", "--input-format", "csv"), "--input-format has no effect"),
        (("{bundle}", "{in}", "{out}", "--output-format", "csv"), "--output-format has no effect"),
        (("{bundle}", "{in}", "--force"), "--force has no effect here: answers go to stdout"),
        (("{bundle}", "{in}", "{bundle}/o.csv"), "would be inside the bundle {bundle}"),
        (("{bundle}", "{in}", "{bundle}/graph/o.csv"), "choose a folder outside"),
        (("{bundle}", "{in}", "{here}/out.json"), "answers are written as JSON lines, not as"),
        (
            ("{bundle}", "{in}", "{out}", "--text-field", "none", "--text-field", "text"),
            "--text-field none excludes any other --text-field",
        ),
    ],
)
def test_what_does_not_go_together_is_told_in_a_line(
    tmp_path: Path,
    tiny_bundle: TinyBundle,
    call: Callable[..., Ended],
    words: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "in.csv").write_text("id\nnode-1\n")
    (tmp_path / "in.csv.csv").write_text("kept")
    places = {
        "bundle": tiny_bundle.folder,
        "in": tmp_path / "in.csv",
        "out": tmp_path / "out.csv",
        "here": tmp_path,
    }
    status, output = call(*(word.format(**places) for word in words))
    assert status == 1
    assert says(output, message.format(**places))
    assert output.count("error: ") == 1
    assert not (tmp_path / "out.csv").exists()
    assert (tmp_path / "in.csv.csv").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.csv.csv"]


def test_a_link_stays_a_link(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    source, out, far = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "far"
    source.write_text("id\nnode-1\n")
    far.mkdir()
    out.symlink_to(far / "answers.csv")
    assert call(tiny_bundle.folder, source, out)[0] == 0
    assert out.is_symlink()
    assert [row["id"] for row in table(far / "answers.csv")] == ["node-1"]
    status, output = call(tiny_bundle.folder, source, out)
    assert (status, says(output, "out.csv already exists; replace it with --force")) == (1, True)
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for words in ((tmp_path / "loop.csv", out), (source, tmp_path / "loop.csv")):
        status, output = call(tiny_bundle.folder, *words)
        assert (status, says(output, "unexpected")) == (1, False)
        assert says(output, "loop.csv")
    assert [path.name for path in far.iterdir()] == ["answers.csv"]


def test_parts_of_another_run_are_told_and_left_alone(
    tmp_path: Path,
    tiny_bundle: TinyBundle,
    call: Callable[..., Ended],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("id\n" + "node-1\n" * 10 + "nobody\n")
    monkeypatch.setattr(InProcess, "batch", 2)
    monkeypatch.setattr(running, "PART_ROWS", 4)
    status, output = call(tiny_bundle.folder, source, out, "--strict")
    assert status == 1
    assert says(output, f"error: {source}:12: unknown_node")
    (left,) = [path for path in tmp_path.iterdir() if path.name[0] == "."]
    parts = sorted(path.name for path in left.iterdir())
    assert len(parts) == 3  # a lock, and two parts of four rows
    status, output = call(tiny_bundle.folder, source, out)
    assert status == 0
    assert says(output, f"{left} holds unfinished answers for another input, other options")
    assert sorted(path.name for path in left.iterdir()) == parts
    assert [row["row"] for row in table(out)] == [str(line) for line in range(2, 13)]


def test_who_writes_the_same_output_is_waited_for(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Callable[..., Ended]
) -> None:
    kind = format_of(tmp_path / "out.csv", "OUT")
    with open_parts(tmp_path / "out.csv", kind, False, ["about"]):  # noqa: SIM117
        with (
            pytest.raises(OutputError, match="another process is writing"),
            open_parts(tmp_path / "out.csv", kind, False, ["about"]),
        ):
            pass
    assert list(tmp_path.iterdir()) == []
