"""Drawn neighbourhoods: seeds first, and the whole graph's answer where nothing is left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.unit.training.samples import CLASSES, NODES, WIDTH, small_data, small_graph
from training.config import (
    STUDENT_KINDS,
    ObjectiveOptions,
    StudentConfig,
    StudentKind,
    TrainingConfig,
)
from training.encoders.features import hashed_features
from training.loop import train
from training.losses.objectives import make_terms
from training.student.batches import Sampling, draw, sample, sampled_batches
from training.student.network import Student
from understudy.graph.hashing import HashingOptions, TextHasher


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_with_every_neighbor_drawn_seeds_get_the_whole_graphs_logits(kind: StudentKind) -> None:
    data = small_data()
    torch.manual_seed(0)
    student = Student(StudentConfig(kind=kind, hidden=16), WIDTH, CLASSES, hashed=False).eval()
    sampling = Sampling(hops=2, fanout=NODES, batch_size=20, kind=kind)
    seeds = torch.arange(NODES)
    seen = []
    with torch.no_grad():
        whole = student(data.features, data.edges).logits
        for batch in sampled_batches(data, seeds, sampling, np.random.default_rng(0)):
            own = batch.nodes[: batch.num_seeds]
            logits = student(batch.features, batch.edges).logits[: batch.num_seeds]
            torch.testing.assert_close(logits, whole[own], atol=1e-5, rtol=1e-4)
            assert torch.equal(batch.labels, data.labels[batch.nodes])
            assert torch.isin(own[batch.train], data.train).all()
            assert not torch.isin(own[batch.untrained], data.train).any()
            seen.append(own)
    assert torch.equal(torch.cat(seen).sort().values, seeds)


def test_no_more_than_the_fanout_and_no_neighbor_twice() -> None:
    adjacency = small_graph().adjacency
    nodes = np.arange(NODES)
    drawn, owners = draw(adjacency, nodes, 3, np.random.default_rng(0))
    for node in range(NODES):
        own = drawn[owners == node]
        assert len(own) == min(3, adjacency.degrees[node]) == len(set(own.tolist()))
        assert np.isin(own, adjacency.neighbors(node)).all()


def test_seeds_come_first_and_pairs_are_edges() -> None:
    adjacency = small_graph().adjacency
    seeds = np.array([7, 3, 50])
    nodes, pairs = sample(adjacency, seeds, 2, 2, np.random.default_rng(0))
    assert nodes[:3].tolist() == [7, 3, 50]
    assert len(np.unique(nodes)) == len(nodes)
    for source, target in pairs.T.tolist():
        assert nodes[source] in adjacency.neighbors(int(nodes[target]))


def test_hashed_features_are_batched_too() -> None:
    graph = small_graph()
    options = HashingOptions(buckets=256)
    features = hashed_features(TextHasher(options)(graph.texts.to_pylist()), 256)
    data = replace(small_data(), features=features)
    config = StudentConfig(kind="gcn", hidden=16)
    student = Student(config, 256, CLASSES, hashed=True)
    terms = make_terms({"cross_entropy": 1, "unlabeled": 1}, data, config, ObjectiveOptions())
    training = train(student, data, terms, TrainingConfig(epochs=8, batch_size=32, fanout=4))
    assert training.epochs[-1].loss < training.epochs[0].loss
