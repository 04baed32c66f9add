"""Splitting requests into stored, unseen and invalid nodes; softmax and ranking."""

import numpy as np
import pytest

from tests.bundles import TinyBundle
from understudy.engine import Engine, Node
from understudy.engine.errors import UnknownNodeError
from understudy.engine.requests import best_label, best_labels, probabilities


def test_the_first_bad_nodes_error_comes_first(tiny_bundle: TinyBundle) -> None:
    nodes = [Node(id="node-3"), Node(id="nobody"), Node(text=" "), Node(), Node(id="node-1")]
    with Engine.open(tiny_bundle.folder) as engine:
        resolution = engine.resolve(nodes)
        assert list(resolution.errors) == [1, 2, 3]
        assert resolution.stored_positions == [0, 4]
        assert resolution.stored_rows == [3, 1]
        with pytest.raises(UnknownNodeError):
            engine.logits(nodes)


def test_probabilities_sum_to_one_even_for_huge_logits() -> None:
    logits = np.array([[1e30, 0, -1e30], [5, 5, 5]], dtype=np.float32)
    expected = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]], dtype=np.float32)
    np.testing.assert_allclose(probabilities(logits, 1.0), expected, atol=1e-6)


def test_a_higher_temperature_is_less_sure() -> None:
    logits = np.array([[2.0, 0.0]], dtype=np.float32)
    assert probabilities(logits, 4.0)[0, 0] < probabilities(logits, 1.0)[0, 0]


@pytest.mark.parametrize("top_k", [1, 2, 3, 9])
def test_the_best_come_first_and_ties_in_label_order(top_k: int) -> None:
    logits = np.array([[0.2, 0.4, 0.4], [0.5, 0.1, 0.4]], dtype=np.float32)
    labels, best = best_labels(logits, 1.3, top_k)
    expected = np.array([[1, 2, 0], [0, 2, 1]])[:, :top_k]
    np.testing.assert_array_equal(labels, expected)
    scores = probabilities(logits, 1.3)
    np.testing.assert_array_equal(best, np.take_along_axis(scores, expected, axis=1))


def test_no_rows_give_no_labels() -> None:
    labels, best = best_labels(np.empty((0, 4), np.float32), 1.0, 2)
    assert labels.shape == best.shape == (0, 2)


def test_one_alone_is_answered_as_in_a_batch_to_the_last_digit() -> None:
    logits = np.random.default_rng(3).normal(0, 5, (50, 7)).astype(np.float32)
    logits[::2, 1] = logits[::2].max(axis=1) + 1
    logits[::2, 6] = np.nextafter(logits[::2, 1], np.float32(np.inf))  # equal probabilities
    assert (probabilities(logits, 1.7)[::2, 1] == probabilities(logits, 1.7)[::2, 6]).any()
    (labels, scores), (ordered, ranked) = (best_labels(logits, 1.7, top_k) for top_k in (1, 3))
    np.testing.assert_array_equal(labels[:, 0], logits.argmax(axis=1))
    np.testing.assert_array_equal(ordered[:, 0], labels[:, 0])
    np.testing.assert_array_equal(ranked[:, 0], scores[:, 0])
    alone = [best_label(row, 1.7) for row in logits]
    assert alone == list(zip(labels[:, 0].tolist(), scores[:, 0].tolist(), strict=True))
