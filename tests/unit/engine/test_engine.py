"""The engine in process, against sums in numpy."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bundles import NODES, TOPICS, TinyBundle
from understudy.bundle import open_bundle
from understudy.engine import Engine, Limits, Node, NodeError


@pytest.fixture(scope="module")
def engine(any_bundle: TinyBundle) -> Engine:
    return Engine.open(any_bundle.folder, limits=Limits(text_characters=1_000, neighbors=50))


def test_a_stored_node_is_looked_up(any_bundle: TinyBundle, engine: Engine) -> None:
    logits = engine.logits([Node(id="node-3"), Node(id="node-0")])
    np.testing.assert_array_equal(logits, any_bundle.logits[[3, 0]])


@pytest.mark.parametrize("node", [0, 1, 7, NODES - 1])
def test_an_unseen_copy_of_a_stored_node_gets_its_logits(
    any_bundle: TinyBundle, engine: Engine, node: int
) -> None:
    copy = Node(text=any_bundle.text(node), neighbors=any_bundle.neighbors(node))
    np.testing.assert_allclose(engine.logits([copy])[0], any_bundle.logits[node], atol=1e-4)


def test_folders_may_be_words(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    with Engine.open(str(tiny_bundle.folder), data=str(tmp_path / "data")) as engine:
        assert engine.durable
        assert engine.manifest == open_bundle(str(tiny_bundle.folder)).manifest


def test_every_copy_in_one_batch_gets_its_logits(any_bundle: TinyBundle, engine: Engine) -> None:
    copies = [
        Node(text=any_bundle.text(node), neighbors=any_bundle.neighbors(node))
        for node in range(NODES)
    ]
    np.testing.assert_allclose(engine.logits(copies), any_bundle.logits, atol=1e-4)


def test_a_neighbor_given_twice_counts_once(engine: Engine) -> None:
    once = Node(text="http url", neighbors=("node-1", "node-2"))
    twice = Node(text="http url", neighbors=("node-2", "node-1", "node-2"))
    first, second = engine.logits([once, twice])
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_an_id_beside_a_text_is_only_echoed(engine: Engine) -> None:
    plain, named = engine.classify([Node(text="http url"), Node(id="node-5", text="http url")])
    assert named.id == "node-5"
    assert named.top == plain.top


def test_scores_are_the_calibrated_softmax(any_bundle: TinyBundle, engine: Engine) -> None:
    (prediction,) = engine.classify([Node(id="node-4")], top_k=10)
    exponents = np.exp(any_bundle.logits[4] / 2.0)
    expected = np.sort(exponents / exponents.sum())[::-1]
    np.testing.assert_allclose([entry.score for entry in prediction.top], expected, atol=1e-5)
    assert (prediction.label, prediction.score) == (
        prediction.top[0].label,
        prediction.top[0].score,
    )


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_label_at_all_is_no_wish(engine: Engine, top_k: int) -> None:
    with pytest.raises(ValueError, match="it must be at least 1"):
        engine.classify([Node(id="node-4"), Node(text="http")], top_k=top_k)


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (Node(), "incomplete_node"),
        (Node(id="node-1", neighbors=("node-2",)), "incomplete_node"),
        (Node(id="nobody"), "unknown_node"),
        (Node(text="http", neighbors=("node-1", "nobody")), "unknown_neighbor"),
        (Node(text=""), "empty_text"),
        (Node(text=" \n\t\u2003"), "empty_text"),
        (Node(text="\u200b \ufeff"), "empty_text"),
        (Node(text="http \ud800 ü"), "unusable_text"),
        (Node(text="x" * 1_001), "text_too_long"),
        (Node(text="x", neighbors=("node-1",) * 51), "too_many_neighbors"),
    ],
)
def test_a_bad_node_fails_alone(engine: Engine, node: Node, code: str) -> None:
    good, bad, unseen = engine.classify([Node(id="node-1"), node, Node(text="http")])
    assert good.error is None
    assert unseen.error is None
    assert bad.error is not None
    assert (bad.index, bad.error.code, bad.label, bad.top) == (1, code, None, ())
    with pytest.raises(NodeError):
        engine.logits([node])


def test_unknown_neighbors_are_named_and_cut(engine: Engine) -> None:
    (prediction,) = engine.classify([Node(text="x", neighbors=("node-1", "a" * 5_000, "nobody"))])
    assert prediction.error is not None
    assert prediction.error.details["neighbors"] == ["a" * 100 + "…", "nobody"]
    assert "1 more" in str(prediction.error)


def test_a_text_without_any_known_word_is_classified(engine: Engine) -> None:
    (prediction,) = engine.classify([Node(text="!!! \x00 🎭")])
    assert prediction.error is None


node_strategy = st.one_of(
    st.builds(Node, id=st.sampled_from(["node-0", "node-9", "nobody"])),
    st.builds(
        Node,
        text=st.sampled_from([*TOPICS, "json json", "", "x " * 200]),
        neighbors=st.lists(st.sampled_from([f"node-{n}" for n in range(NODES)]), max_size=9).map(
            tuple
        ),
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(nodes=st.lists(node_strategy, max_size=12))
def test_a_batch_equals_its_nodes_one_by_one(engine: Engine, nodes: list[Node]) -> None:
    for node, together in zip(nodes, engine.classify(nodes, top_k=4), strict=True):
        (alone,) = engine.classify([node], top_k=4)
        assert together.id == alone.id
        assert repr(together.error) == repr(alone.error)
        scores = {entry.label: entry.score for entry in together.top}
        assert scores == pytest.approx({e.label: e.score for e in alone.top}, abs=1e-5)
