"""Estimates whether the whole graph fits into memory."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.training.samples import CLASSES, NODES, small_graph
from training.cli.distill import parse_batch_size
from training.config import (
    STUDENT_KINDS,
    DistillChoices,
    DistillOptions,
    StudentConfig,
    StudentKind,
)
from training.errors import TrainingError
from training.memory import (
    BATCH,
    HEADROOM,
    GraphSize,
    choose_batch,
    chosen_batch,
    free_bytes,
    graph_size,
    step_bytes,
    text_bytes,
    training_bytes,
)
from understudy.graph import save_graph
from understudy.graph.errors import GraphFormatError

LARGE = GraphSize(nodes=1_000_000, edges=10_000_000, classes=40, text_bytes=120_000_000)


@pytest.mark.parametrize("different", [50, 30_000])
def test_texts_that_repeat_count_as_often_as_they_stand_there(
    tmp_path: Path, different: int
) -> None:
    """The file holds each of them once, and no memory of a training does."""
    texts = [f"the pump number {n % different} of the plant has stopped" for n in range(60_000)]
    text = pa.array(texts, pa.large_string())
    pq.write_table(pa.table({"text": text}), tmp_path / "nodes.parquet", row_group_size=40_000)
    assert text_bytes(tmp_path / "nodes.parquet") == pytest.approx(sum(map(len, texts)), rel=0.1)


def test_the_size_is_read_from_the_folder(tmp_path: Path) -> None:
    graph = small_graph()
    save_graph(graph, tmp_path / "graph")
    size = graph_size(tmp_path / "graph")
    assert (size.nodes, size.classes) == (NODES, CLASSES)
    assert size.edges == graph.adjacency.num_edges
    characters = sum(map(len, graph.texts.to_pylist()))
    assert characters <= size.text_bytes < 2 * characters
    (tmp_path / "graph" / "nodes.parquet").write_bytes(b"PAR1")
    with pytest.raises(GraphFormatError, match="is damaged"):
        graph_size(tmp_path / "graph")


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_the_whole_graph_is_taken_where_it_fits_and_batches_where_not(kind: StudentKind) -> None:
    student = StudentConfig(kind=kind)
    needed = training_bytes(LARGE, student, hashed=False, taught=False, whole=True)
    fits = choose_batch(LARGE, student, False, False, needed / HEADROOM + 1)
    assert fits.seeds == 0
    assert "on the whole graph takes about" in fits.reason
    too_large = choose_batch(LARGE, student, False, False, needed / HEADROOM - 1)
    assert too_large.seeds == BATCH
    assert "--batch-size 0" in too_large.reason


def test_a_device_with_memory_of_its_own_holds_dense_features_too() -> None:
    dense = DistillOptions()
    room = training_bytes(LARGE, dense.student, False, False, whole=True) / HEADROOM + 1
    assert chosen_batch(LARGE, dense, room).seeds == BATCH
    assert chosen_batch(LARGE, dense, room + LARGE.nodes * 384 * 4).seeds == 0
    hashed = DistillOptions(encoder="hashing")
    room = training_bytes(LARGE, hashed.student, True, False, whole=True) / HEADROOM + 1
    assert chosen_batch(LARGE, hashed, room).seeds == 0


def test_more_of_anything_needs_more_and_batches_need_less() -> None:
    student = StudentConfig()
    least = training_bytes(LARGE, student, hashed=False, taught=False, whole=True)
    assert training_bytes(LARGE, student, hashed=True, taught=False, whole=True) > least
    assert training_bytes(LARGE, student, hashed=False, taught=True, whole=True) > least
    assert training_bytes(LARGE, student, hashed=False, taught=False, whole=False) < least
    for name in ("nodes", "edges", "classes", "text_bytes"):
        larger = replace(LARGE, **{name: 2 * getattr(LARGE, name)})
        assert training_bytes(larger, student, hashed=True, taught=True, whole=True) > least


def test_hashed_texts_in_batches_take_a_small_part_of_what_all_their_n_grams_take() -> None:
    student = StudentConfig(hidden=32)
    texts = replace(LARGE, edges=0, nodes=1_000_000)
    whole, drawn = (
        training_bytes(texts, student, hashed=True, taught=False, whole=whole, fanout=5)
        for whole in (True, False)
    )
    assert drawn < whole / 5


def test_a_step_takes_more_with_more_neighbors_and_no_more_than_all_nodes() -> None:
    student = StudentConfig(hidden=32)
    few, more = (step_bytes(LARGE, student, hashed=True, fanout=fanout) for fanout in (2, 10))
    assert few * 10 < more
    most = step_bytes(LARGE, student, True, 1_000)
    assert most == pytest.approx(step_bytes(LARGE, student, True, 2_000))
    assert step_bytes(replace(LARGE, nodes=500_000), student, True, 1_000) < most
    assert step_bytes(LARGE, StudentConfig("mlp", hidden=32), hashed=True, fanout=10) < few
    alone = replace(LARGE, edges=0)
    assert step_bytes(alone, student, True, 2) == step_bytes(alone, student, True, 10)


def test_an_objective_that_reads_neighbors_takes_more_in_a_step_and_on_the_whole_graph() -> None:
    for kind in STUDENT_KINDS:
        student = StudentConfig(kind)
        apart, around = (step_bytes(LARGE, student, False, 3, said) for said in (False, True))
        assert around > 1.5 * apart
    options = DistillOptions(encoder="hashing", teacher=Path("teacher"))
    room = training_bytes(LARGE, options.student, True, True, whole=True) / HEADROOM + 1
    assert chosen_batch(LARGE, options, room).seeds == 0
    for name, seeds in (("ff", BATCH), ("of_a_plugin", BATCH), ("kd", 0)):
        assert chosen_batch(LARGE, replace(options, objectives={name: 1.0}), room).seeds == seeds
    assert chosen_batch(LARGE, replace(options, objectives={"ff": 0.0}), room).seeds == 0


def test_this_machine_has_some_memory_free() -> None:
    assert 1e6 < free_bytes() < 1e15


def test_a_step_is_auto_or_a_number() -> None:
    assert [parse_batch_size(word) for word in ("auto", "0", "64")] == [None, 0, 64]
    for word in ("-1", "many", ""):
        with pytest.raises(TrainingError, match="--batch-size must be auto or a number"):
            parse_batch_size(word)


def test_a_number_of_nodes_is_kept_and_none_leaves_the_choice_to_the_memory() -> None:
    for given, fitting in ((None, True), (0, False), (64, False)):
        options = DistillChoices(batch_size=given).options()
        assert (options.training.batch_size, options.fitting) == (given or 0, fitting)
