from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from understudy.graph import BadInputError, TextGraph
from understudy.graph.describe import edge_homophily
from understudy.graph.readers.synthetic import (
    NodeSampler,
    SyntheticOptions,
    drawn,
    synthetic_graph,
)
from understudy.graph.readers.vocabulary import (
    SHARED,
    TOPICS,
    WORDS_PER_TOPIC,
    topic_names,
    topic_words,
)

BIG = SyntheticOptions(nodes=4000, classes=5, mean_degree=12)


def own_word_share(graph: TextGraph) -> float:
    """Of the topical words, how many are of the node's own class."""
    topic_of = {word: topic for topic, row in enumerate(topic_words(5)) for word in row.tolist()}
    hits = Counter(
        topic_of[word] == label
        for text, label in zip(graph.texts.to_pylist(), graph.labels.tolist(), strict=True)
        for word in text.split()
        if word in topic_of
    )
    return hits[True] / hits.total()


def class_pairs(graph: TextGraph) -> np.ndarray:
    """float [C, C]: how the edges between classes are shared out, both directions."""
    first, second = graph.labels[graph.adjacency.edge_index()]
    counts = np.zeros((graph.num_classes, graph.num_classes))
    np.add.at(counts, (first, second), 1)
    np.fill_diagonal(counts, 0)
    shares: np.ndarray = counts / counts.sum()
    return shares


def with_dials(**dials: float) -> TextGraph:
    from dataclasses import replace

    return synthetic_graph(replace(BIG, **dials))  # type: ignore[arg-type]


def test_equal_dials_give_an_equal_graph() -> None:
    assert (
        synthetic_graph(SyntheticOptions()).content_hash
        == synthetic_graph(SyntheticOptions()).content_hash
    )
    assert (
        synthetic_graph(SyntheticOptions()).content_hash
        != synthetic_graph(SyntheticOptions(seed=1)).content_hash
    )


def test_size_degree_and_splits() -> None:
    graph = synthetic_graph(BIG)
    assert graph.num_nodes == 4000
    assert graph.adjacency.num_edges == 24_000
    assert np.bincount(graph.labels).tolist() == [800] * 5
    assert {name: len(nodes) for name, nodes in graph.splits.items()} == {
        "train": 2400,
        "val": 800,
        "test": 800,
    }
    assert all("\n" in text for text in graph.texts.to_pylist())
    words = np.mean([len(text.split()) for text in graph.texts.to_pylist()])
    assert abs(words - BIG.words) < 0.3


@pytest.mark.parametrize("homophily", [0.0, 0.5, 1.0])
def test_the_homophily_dial(homophily: float) -> None:
    measured = edge_homophily(with_dials(homophily=homophily))
    assert measured is not None
    assert abs(measured - homophily) < 0.02


def test_texts_of_signal_0_are_independent_of_the_class() -> None:
    assert abs(own_word_share(with_dials(text_signal=0.0)) - 1 / 5) < 0.01


def test_the_text_signal_dial() -> None:
    assert abs(own_word_share(with_dials(text_signal=0.5)) - 0.6) < 0.01
    assert own_word_share(with_dials(text_signal=1.0)) == 1.0


def test_edges_of_signal_0_and_chance_homophily_are_independent_of_the_class() -> None:
    graph = with_dials(edge_signal=0.0, homophily=1 / 5)
    off_diagonal = class_pairs(graph)[~np.eye(5, dtype=bool)]
    assert np.allclose(off_diagonal, 1 / 20, atol=0.005)


def test_edges_of_signal_1_fall_on_partner_classes() -> None:
    pairs = class_pairs(with_dials(edge_signal=1.0, homophily=0.0))
    partners = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
    assert pairs[partners == 0].sum() == 0


def test_the_degree_spread_dial() -> None:
    even, uneven = (
        with_dials(degree_spread=spread).adjacency.degrees.std() for spread in (0.0, 1.2)
    )
    assert even < 4 < 8 < uneven


def test_one_class_and_a_dense_graph() -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=30, classes=1, mean_degree=14, homophily=0.0))
    assert graph.adjacency.num_edges == 210


def test_fewer_edges_than_were_asked_for_are_told() -> None:
    apart = SyntheticOptions(nodes=30, classes=10, mean_degree=5.0, homophily=1.0)
    built = drawn(apart)
    assert built.graph.adjacency.num_edges == 30  # three in each class, all of which are linked
    assert any(remark.startswith("only 30 of 75 edges could be drawn") for remark in built.remarks)
    assert not drawn(BIG).remarks


@pytest.mark.parametrize(
    "dials",
    [
        SyntheticOptions(homophily=1.5),
        SyntheticOptions(text_signal=-0.1),
        SyntheticOptions(nodes=3, classes=4),
        SyntheticOptions(classes=0),
        SyntheticOptions(nodes=10, mean_degree=6),
        SyntheticOptions(words=3),
        SyntheticOptions(degree_spread=-1),
        SyntheticOptions(degree_spread=float("nan")),
        SyntheticOptions(mean_degree=float("nan")),
        SyntheticOptions(homophily=float("nan")),
    ],
)
def test_dials_out_of_range_are_refused(dials: SyntheticOptions) -> None:
    with pytest.raises(BadInputError):
        synthetic_graph(dials)


def test_no_word_is_in_two_vocabularies() -> None:
    words = [*topic_words(200).ravel().tolist(), *SHARED]
    assert len(set(words)) == len(words) == 200 * WORDS_PER_TOPIC + len(SHARED)
    assert len(set(topic_names(200))) == 200
    assert {len(words.split()) for words in TOPICS.values()} == {WORDS_PER_TOPIC}


def test_a_share_of_the_nodes_keeps_its_label_and_all_else_stays_as_it_is() -> None:
    whole = synthetic_graph(BIG)
    some = synthetic_graph(replace(BIG, labeled=0.1))
    kept = some.labels >= 0
    assert 0.07 < kept.mean() < 0.13
    assert (some.labels[kept] == whole.labels[kept]).all()
    assert some.texts.equals(whole.texts)
    assert (some.adjacency.indices == whole.adjacency.indices).all()
    assert sum(map(len, some.splits.values())) == kept.sum()


def test_edges_that_are_drawn_some_at_a_time_join_different_nodes_of_the_graph() -> None:
    labels = np.arange(BIG.nodes) % BIG.classes
    sampler = NodeSampler(labels, BIG, np.random.default_rng(0))
    parts = list(sampler.keys(1_000, at_once=300))
    assert all(len(part) > 80 for part in parts)
    assert len(parts) == 4
    low, high = np.divmod(np.concatenate(parts), BIG.nodes)
    assert (low < high).all()
    assert low.min() >= 0
    assert (labels[low] == labels[high]).mean() > 0.5


@pytest.mark.parametrize(("labeled", "most"), [(0.0, 0), (0.3, 7)])
def test_a_class_without_a_labelled_node_has_no_name(labeled: float, most: int) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=10, classes=8, mean_degree=2, labeled=labeled))
    assert len(graph.label_names) <= most
    assert sorted(set(graph.labels.tolist()) - {-1}) == list(range(graph.num_classes))
    trained = graph.labels[graph.splits["train"]].tolist() if graph.splits else []
    assert set(trained) == set(range(graph.num_classes))


def test_few_nodes_are_told_what_degree_they_can_have() -> None:
    """The degree that is too high may be the default, which nobody has given."""
    told = r"at most 4\.5 among 10 nodes, not 8; give another --mean-degree, or draw more nodes"
    with pytest.raises(BadInputError, match=told):
        synthetic_graph(SyntheticOptions(nodes=10))
