"""Exported students compute what torch computes, on graphs of every shape."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.checks.parity import (
    awkward_graphs,
    check_layers,
    check_logits,
    check_shapes,
    check_weights,
    check_whole,
    random_features,
)
from export.errors import ParityError
from export.student.activations import all_activations, input_feeds
from export.student.whole_file import whole_file
from tests.students import ExportedStudent, export_random, hub_graph, random_student, small_student
from training.config import STUDENT_KINDS, StudentKind
from training.data import edges
from training.encoders.features import Features
from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.layers.neighborhoods import padded_blocks, stored_neighborhoods
from understudy.graph.layers.propagation import propagate
from understudy.graph.layers.receptive_field import receptive_field

TOLERANCE = 1e-4
CASES = [*((kind, True) for kind in STUDENT_KINDS), ("mlp", False)]
QUICK = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case[0] + "-dense" * (not case[1]))
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ExportedStudent:
    """The slow part."""
    kind: StudentKind
    kind, hashed = request.param
    return export_random(tmp_path_factory.mktemp(kind), kind, hashed)


@st.composite
def graphs(draw: st.DrawFn) -> Adjacency:
    """1 to 25 nodes; duplicate edges, self-loops and isolated nodes among them."""
    count = draw(st.integers(1, 25))
    node = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=60))
    return build_adjacency(count, np.array(pairs, dtype=np.int64).reshape(-1, 2))[0]


def expected_logits(
    exported: ExportedStudent, features: Features, adjacency: Adjacency
) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(exported.student(features, edges(adjacency)).logits.numpy())


def whole_logits(
    exported: ExportedStudent, features: Features, adjacency: Adjacency, seeds: NDArray[np.int64]
) -> NDArray[np.float32]:
    field = receptive_field(adjacency, seeds, exported.info.layers, exported.weighting)
    return exported.whole({**field.feeds(), **input_feeds(features, field.nodes)})


@QUICK
@given(adjacency=graphs())
def test_layers_equal_torch(exported: ExportedStudent, adjacency: Adjacency) -> None:
    features = random_features(exported.student, adjacency.num_nodes)
    expected = expected_logits(exported, features, adjacency)
    for network in exported.forms:
        found = all_activations(network, features, adjacency, exported.weighting)[-1]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@QUICK
@given(adjacency=graphs(), data=st.data())
def test_the_whole_student_equals_torch_for_any_seeds(
    exported: ExportedStudent, adjacency: Adjacency, data: st.DataObject
) -> None:
    node = st.integers(0, adjacency.num_nodes - 1)
    seeds = np.array(data.draw(st.lists(node, min_size=1, max_size=8)))
    features = random_features(exported.student, adjacency.num_nodes)
    expected = expected_logits(exported, features, adjacency)[seeds]
    found = whole_logits(exported, features, adjacency, seeds)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    alone = whole_logits(exported, features, adjacency, seeds[:1])
    np.testing.assert_allclose(alone, found[:1], atol=TOLERANCE)


@QUICK
@given(adjacency=graphs(), seed=st.integers(0, 2**16))
def test_renumbering_the_nodes_renumbers_the_logits(
    exported: ExportedStudent, adjacency: Adjacency, seed: int
) -> None:
    count = adjacency.num_nodes
    order = np.random.default_rng(seed).permutation(count)  # new node i is old node order[i]
    features = random_features(exported.student, count)
    network = exported.forms[0]
    before = all_activations(network, features, adjacency, exported.weighting)[-1]
    near = stored_neighborhoods(adjacency.induced(order), np.arange(count))
    table = network.input(input_feeds(features, order))
    for layer in network.layers:
        table = propagate(layer, table, table, near, exported.weighting)
    np.testing.assert_allclose(table, before[order], atol=TOLERANCE)


def test_padding_changes_nothing(exported: ExportedStudent) -> None:
    adjacency = hub_graph()
    layer = exported.forms[1].layers[0]
    if "index" not in layer.inputs:
        pytest.skip("reads no neighbours")
    table = np.random.default_rng(0).standard_normal((220, 16)).astype(np.float32)
    nodes = np.array([0, 5, 219])
    for block in padded_blocks(stored_neighborhoods(adjacency, nodes), exported.weighting):
        feeds = {
            "h": table[nodes[block.rows]],
            "table": table,
            "index": block.index,
            "weight": block.weight,
            "self_weight": block.self_weight,
        }
        wider = {name: np.pad(feeds[name], ((0, 0), (0, 9))) for name in ("index", "weight")}
        np.testing.assert_allclose(layer(feeds), layer({**feeds, **wider}), atol=1e-6)


def test_a_hub_does_not_pad_other_nodes_and_is_exact(exported: ExportedStudent) -> None:
    adjacency = hub_graph()
    features = random_features(exported.student, adjacency.num_nodes)
    seeds = np.array([3, 0, 219])
    found = whole_logits(exported, features, adjacency, seeds)
    expected = expected_logits(exported, features, adjacency)[seeds]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_the_gates_pass_what_is_right(exported: ExportedStudent) -> None:
    folder, student = exported.folder, exported.student
    assert check_shapes(student, folder, exported.info) <= TOLERANCE
    assert check_whole(student, folder / "student/student.onnx") <= TOLERANCE


def test_no_two_axes_of_the_whole_student_are_tied_however_deep_it_is(tmp_path: Path) -> None:
    file = whole_file(random_student(small_student("sage", layers=8)), tmp_path / "student.onnx")
    sizes: dict[str, set[int]] = {}
    for tensor, axes in zip(file.sample, file.axes.values(), strict=True):
        for size, axis in zip(tensor.shape, axes, strict=True):
            sizes.setdefault(axis or str(size), set()).add(size)
    assert all(len(found) == 1 for found in sizes.values())
    distinct = {size for found in sizes.values() for size in found}
    assert len(distinct) == len(sizes)
    assert min(distinct) > 1  # 1 would be taken for a constant


def test_the_gate_refuses_other_logits_and_logits_that_are_not_finite() -> None:
    student = random_student(small_student("sage", 1))
    adjacency = next(iter(awkward_graphs()))
    features = random_features(student, adjacency.num_nodes)
    with torch.inference_mode():
        logits = student(features, edges(adjacency)).logits.numpy()
    assert check_logits(student, features, adjacency, logits) == 0
    with pytest.raises(ParityError, match="differ"):
        check_logits(student, features, adjacency, logits + 1e-3)
    with pytest.raises(ParityError, match="not finite"):
        check_logits(student, features, adjacency, np.full_like(logits, np.nan))


def test_a_weight_that_is_nan_is_named() -> None:
    student = random_student(small_student("gin", 1))
    check_weights(student)
    with torch.no_grad():
        student.head.weight[0, 0] = torch.nan
    with pytest.raises(ParityError, match=r"head\.weight"):
        check_weights(student)


def test_a_large_graph_is_compared_layer_by_layer_on_some_of_its_nodes(
    exported: ExportedStudent,
) -> None:
    adjacency = hub_graph()
    features = random_features(exported.student, adjacency.num_nodes)
    stored = all_activations(exported.forms[0], features, adjacency, exported.weighting)
    nodes = np.arange(0, adjacency.num_nodes, 3)
    assert check_layers(exported.student, features, adjacency, stored, nodes) <= TOLERANCE
    for number in range(len(stored)):
        wrong = [table.copy() for table in stored]
        wrong[number][nodes[5]] += 1.0
        with pytest.raises(ParityError, match="exported logits differ"):
            check_layers(exported.student, features, adjacency, wrong, nodes)
