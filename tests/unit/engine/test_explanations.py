"""Explanations, against asking about each node without the part."""

import numpy as np
import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine, Limits, Node, explanations
from understudy.engine.errors import UnknownNodeError
from understudy.engine.explanations import explain

ROUNDING = 2e-6
WORDS = "http parser http json"


def log_odds(engine: Engine, node: Node, label: str) -> float:
    (answer,) = engine.classify([node], top_k=100)
    score = next(float(entry.score) for entry in answer.top if entry.label == label)
    return float(np.log(score) - np.log1p(-score))


def test_words_and_neighbors_of_an_unseen_node(tiny_bundle: TinyBundle) -> None:
    engine = Engine.open(tiny_bundle.folder)
    near = ("node-1", "node-0", "node-7")
    node = Node(text=WORDS, neighbors=near)
    (explanation,) = explain(engine, [node])
    assert explanation.words is not None
    assert (explanation.untried_neighbors, explanation.untried_words) == (0, 0)
    assert {influence.word for influence in explanation.words} == {"http", "parser", "json"}
    own = log_odds(engine, node, explanation.label)
    assert explanation.log_odds == pytest.approx(own, abs=1e-4)
    assert {influence.id for influence in explanation.neighbors} == set(near)
    for link in explanation.neighbors:
        other = Node(text=WORDS, neighbors=tuple(name for name in near if name != link.id))
        assert link.log_odds == pytest.approx(
            own - log_odds(engine, other, explanation.label), abs=1e-4
        )
    for influence in explanation.words:
        rest = " ".join(word for word in WORDS.split() if word != influence.word)
        other = Node(text=rest, neighbors=near)
        assert influence.log_odds == pytest.approx(
            own - log_odds(engine, other, explanation.label), abs=1e-4
        )
        (answer,) = engine.classify([other], top_k=4)
        assert influence.label == answer.label
        score = next(entry.score for entry in answer.top if entry.label == explanation.label)
        assert influence.score == pytest.approx(score, abs=ROUNDING)
    for listed in (explanation.words, explanation.neighbors):
        falls = [influence.log_odds for influence in listed]
        assert falls == sorted(falls, reverse=True)


def test_what_is_beyond_the_limits_is_counted_and_hubs_go_first(tiny_bundle: TinyBundle) -> None:
    limits = Limits(explained_neighbors=2, explained_words=1)
    engine = Engine.open(tiny_bundle.folder, limits=limits)
    view = engine.state.graph
    near = ("node-39", "node-5", "node-0")
    hubs = sorted(near, key=lambda name: -len(view.neighbors(view.row_of(name) or 0)))[:2]
    (explanation,) = explain(engine, [Node(text=WORDS, neighbors=near)])
    assert {influence.id for influence in explanation.neighbors} == set(hubs)
    assert (explanation.untried_neighbors, explanation.untried_words) == (1, 2)


def test_of_a_hub_fewer_parts_are_tried(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine.open(tiny_bundle.folder)
    degree = len(engine.state.graph.neighbors(0))
    monkeypatch.setattr(explanations, "MESSAGES", 2 * degree)
    (hub,) = explain(engine, [Node(id="node-0")])
    assert (len(hub.neighbors), hub.untried_neighbors) == (2, degree - 2)
    assert (len(hub.words or ()), hub.untried_words) == (2, 3)
    monkeypatch.setattr(explanations, "MESSAGES", 1)
    (hub,) = explain(engine, [Node(id="node-0")])
    assert len(hub.neighbors) == len(hub.words or ()) == 1


def test_a_transformer_has_no_words_and_a_lonely_node_nothing(any_bundle: TinyBundle) -> None:
    engine = Engine.open(any_bundle.folder)
    lonely, linked = explain(engine, [Node(text="http"), Node(id="node-1")])
    assert lonely.neighbors == ()
    assert explain(engine, [Node(text="http")]) == [lonely]
    assert linked.neighbors
    hashed = engine.manifest.encoder.kind == "hashing"
    assert (lonely.words is not None) == (linked.words is not None) == hashed


def test_words_beyond_what_the_encoder_reads_are_not_told(tiny_bundle: TinyBundle) -> None:
    engine = Engine.open(tiny_bundle.folder)
    (explanation,) = explain(engine, [Node(text="http " + " " * 500 + "json")])
    assert explanation.words is not None
    assert [influence.word for influence in explanation.words] == ["http"]


def test_a_bad_node_is_an_error(tiny_bundle: TinyBundle) -> None:
    with pytest.raises(UnknownNodeError):
        explain(Engine.open(tiny_bundle.folder), [Node(id="nobody")])
