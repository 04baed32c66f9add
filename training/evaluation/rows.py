"""Stores every run of an evaluation as one row of a Parquet file, the source of all tables."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from training.errors import EvaluationError
from understudy.graph import TextGraph
from understudy.graph.files import atomic_file
from understudy.graph.text_graph import UNLABELED

RUNS_FILE = "runs.parquet"
REMEDY = "`understudy evaluate` with the same options writes it from the runs"
FACTS = b"understudy"  # key of the file's metadata: facts shared by all rows, as JSON
NEIGHBORHOODS = (0, 1, 3, None)  # maximum number of links that an unseen node keeps; None: all
TYPES: Mapping[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    float | None: pa.float64(),
    bytes: pa.binary(),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One run; accuracies are shares, 0 to 1, and None means not measured."""

    graph: str
    graph_hash: str
    split_kind: str
    split: int
    seed: int  # of the initialisation
    encoder: str
    student: str
    recipe: str
    teacher: str  # the language model that was asked; empty if none was
    labeled: int  # nodes of the whole graph, even if some test nodes were removed
    train: int  # nodes
    val: int
    test: int
    val_accuracy: float
    test_accuracy: float
    test_macro_f1: float
    test_calibration_error: float  # before temperature scaling
    epochs: int
    convergence_epoch: int  # first to reach 99% of the best validation accuracy
    parameters: int
    seconds: float  # of training
    taught_accuracy: float | None  # of the student's targets, on test
    fifth_accuracy: float | None  # on the fifth of test that an inductive evaluation removes
    unseen_0: float | None  # on that fifth, unseen, classified by the bundle without links,
    unseen_1: float | None  # with at most one,
    unseen_3: float | None  # with at most three,
    unseen_all: float | None  # with all of its stored neighbours
    panel: bytes  # a bit per node of the whole graph's panel (run.py): it is a test node
    panel_right: bytes  # a bit per node: it is a test node, and the student is right
    date: str  # when the run ended, UTC
    processor: str
    cores: int
    versions: str  # of Python and the libraries
    command: str  # line


SCHEMA = pa.schema([(field.name, TYPES[field.type]) for field in fields(Row)])


@dataclass(frozen=True, slots=True)
class Record:
    """The content of a Parquet file of runs."""

    rows: list[Row]
    facts: Mapping[str, Any]  # of the evaluation, see `write_rows`


def row_of(result: Mapping[str, Any], graph: TextGraph, split_kind: str) -> Row:
    """Converts a run's file to a row.

    Args:
        graph: the whole graph, from which splits are drawn
    """
    metrics, sizes, made = result["metrics"], result["sizes"], result["made"]
    unseen = result.get("unseen", {})
    names = {field.name for field in fields(Row)}
    return Row(
        graph=graph.name,
        graph_hash=graph.content_hash,
        split_kind=split_kind,
        teacher=result["teacher"],
        panel=bytes.fromhex(result["panel"]),
        panel_right=bytes.fromhex(result["panel_right"]),
        **result["key"],
        **sizes | {"labeled": int((graph.labels != UNLABELED).sum())},
        **{name: unseen.get(name) for name in map(unseen_name, NEIGHBORHOODS)},
        **{name: value for name, value in metrics.items() if name in names},
        **made,
    )


def unseen_name(links: int | None) -> str:
    return f"unseen_{'all' if links is None else links}"


def write_rows(path: Path, rows: Iterable[Row], facts: Mapping[str, Any]) -> None:
    """Writes runs.parquet, with the facts shared by all rows in its metadata.

    Args:
        facts: graph, nodes, classes, options (settings on which results depend), teachers' metrics
    """
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=SCHEMA)
    table = table.replace_schema_metadata({FACTS: json.dumps(facts, sort_keys=True)})
    with atomic_file(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd", write_page_checksum=True)


def read_rows(path: Path) -> Record:
    """Reads runs.parquet.

    Raises:
        EvaluationError: it is missing, or not such a file.
    """
    if not path.is_file():
        raise EvaluationError(f"{path} is missing; {REMEDY}")
    try:
        table = parquet.read_table(path, page_checksum_verification=True)
        facts = json.loads(table.schema.metadata[FACTS])
        return Record([Row(**values) for values in table.to_pylist()], facts)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{path} is damaged, or holds no runs of an evaluation: {error}; {REMEDY}"
        ) from error
