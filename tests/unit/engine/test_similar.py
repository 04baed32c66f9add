"""Hidden states and the most similar nodes, against plain sums."""

import numpy as np
import pytest

from tests.bundles import NODES, TinyBundle
from understudy.engine import Engine, Node, similar
from understudy.engine.similar import hidden_states, most_similar
from understudy.graph.mutations import DeleteNode, UpsertNode


@pytest.fixture
def engine(tiny_bundle: TinyBundle) -> Engine:
    return Engine.open(tiny_bundle.folder)


def test_the_last_hidden_state_is_what_the_last_layer_reads(any_bundle: TinyBundle) -> None:
    engine = Engine.open(any_bundle.folder)
    copy = Node(text=any_bundle.text(3), neighbors=any_bundle.neighbors(3))
    resolution = engine.resolve([copy, Node(id="node-7"), Node(id="node-3")])
    hidden = hidden_states(resolution, engine.infer(resolution))
    assert resolution.positions == [1, 2, 0]
    np.testing.assert_allclose(hidden, any_bundle.activations[-2][[7, 3, 3]], atol=1e-4)


@pytest.mark.parametrize("block", [3, 8_192])
@pytest.mark.parametrize("label", [None, 1])
def test_the_most_similar_are_those_of_the_largest_cosines(
    tiny_bundle: TinyBundle, engine: Engine, monkeypatch: pytest.MonkeyPatch, block: int, label: int
) -> None:
    monkeypatch.setattr(similar, "BLOCK_ROWS", block)
    hidden = tiny_bundle.activations[-2].astype(np.float64)
    unit = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    cosines = unit @ unit[5]
    best = tiny_bundle.logits.argmax(axis=1)
    others = [n for n in range(NODES) if n != 5 and (label is None or best[n] == label)]
    expected = sorted(others, key=lambda node: -cosines[node])[:7]
    found = most_similar(engine.state, 5, 7, label)
    assert found.rows.tolist() == expected
    np.testing.assert_allclose(found.cosines, cosines[expected], atol=1e-5)


def test_changes_are_seen_by_new_states_alone(engine: Engine) -> None:
    before = engine.state
    nearest = most_similar(before, 5, 3)
    names = [before.graph.id(row) for row in nearest.rows.tolist()]
    engine.apply([DeleteNode(names[0]), UpsertNode("copy", before.graph.text(5))])
    assert most_similar(before, 5, 3).rows.tolist() == nearest.rows.tolist()
    after = engine.state
    found = most_similar(after, 5, NODES * 2)
    ids = [after.graph.id(row) for row in found.rows.tolist()]
    assert names[0] not in ids
    assert "copy" in ids
    assert len(ids) == NODES - 1  # all others


def test_a_vector_of_zeros_is_near_to_nothing() -> None:
    values = np.array([[0.0, 0.0], [3.0, 4.0]], np.float32)
    np.testing.assert_allclose(similar.unit_rows(values), np.array([[0.0, 0.0], [0.6, 0.8]]))
