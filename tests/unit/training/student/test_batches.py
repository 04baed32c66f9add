"""Sampled neighbourhoods: seeds first, and the whole graph's result if nothing is left out."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.training.samples import CLASSES, NODES, WIDTH, small_data, small_graph
from training.config import (
    STUDENT_KINDS,
    ObjectiveOptions,
    StudentConfig,
    StudentKind,
    TrainingConfig,
)
from training.encoders.features import HashedFeatures
from training.loop import sampling_of, train
from training.losses.objectives import make_terms
from training.student import network
from training.student.batches import Sampling, draw, sample, sampled_batches, seed_steps
from training.student.network import HashedInput, Student
from understudy.graph.hashing import HashingOptions, TextHasher


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_with_every_neighbor_drawn_seeds_get_the_whole_graphs_logits(kind: StudentKind) -> None:
    data = small_data()
    torch.manual_seed(0)
    student = Student(StudentConfig(kind=kind, hidden=16), WIDTH, CLASSES, hashed=False).eval()
    sampling = Sampling(hops=2, fanout=NODES, kind=kind)
    steps = np.random.default_rng(1).permutation(NODES).reshape(-1, 18)
    seen = []
    with torch.no_grad():
        whole = student(data.features, data.edges).logits
        for batch in sampled_batches(data, steps, sampling, np.random.default_rng(0)):
            own = batch.nodes[: batch.num_seeds]
            logits = student(batch.features, batch.edges).logits[: batch.num_seeds]
            torch.testing.assert_close(logits, whole[own], atol=1e-5, rtol=1e-4)
            fewer = student(batch.features, batch.edges, reach=batch.reach)
            torch.testing.assert_close(fewer.logits[: batch.num_seeds], logits)
            assert torch.equal(batch.labels, data.labels[batch.nodes])
            assert torch.isin(own[batch.train], data.train).all()
            assert not torch.isin(own[batch.untrained], data.train).any()
            seen.append(own)
    assert torch.equal(torch.cat(seen), torch.from_numpy(steps.flatten()))


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
    nodes, pairs, around = sample(adjacency, seeds, 2, 2, np.random.default_rng(0))
    assert nodes[:3].tolist() == [7, 3, 50]
    assert len(np.unique(nodes)) == len(nodes)
    for source, target in pairs.T.tolist():
        assert nodes[source] in adjacency.neighbors(int(nodes[target]))
    assert around[0] == 3
    assert around[2] == len(nodes)
    # What a layer sums up lies within one hop more than what it is asked for.
    assert pairs[1].max() < around[1]
    assert pairs[0][pairs[1] < 3].max() < around[1]


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_rows_that_no_seed_reads_are_left_out_and_gradients_stay(kind: StudentKind) -> None:
    data = small_data()
    torch.manual_seed(0)
    config = StudentConfig(kind=kind, hidden=16, layers=3)
    student = Student(config, WIDTH, CLASSES, hashed=False).eval()
    sampling = Sampling(hops=0 if kind == "mlp" else 3, fanout=2, kind=kind)
    (batch,) = sampled_batches(data, [np.arange(5)], sampling, np.random.default_rng(0))

    def gradients(reach: tuple[int, ...]) -> list[Tensor]:
        student.zero_grad()
        output = student(batch.features, batch.edges, reach=reach)
        (output.logits[:5].square().sum() + output.hidden[1][:5].sum()).backward()
        return [cast(Tensor, weights.grad).clone() for weights in student.parameters()]

    torch.testing.assert_close(gradients(batch.reach), gradients(()))
    if kind in ("sage", "gcn", "gin"):
        hidden = student(batch.features, batch.edges, reach=batch.reach).hidden
        assert [len(h) for h in hidden] == [len(batch.nodes), *batch.reach]
        assert len(batch.nodes) > batch.reach[0] > batch.reach[2] == 5


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_where_outputs_around_seeds_are_read_they_are_those_of_the_whole_graph(
    kind: StudentKind,
) -> None:
    data = small_data()
    torch.manual_seed(0)
    student = Student(StudentConfig(kind, hidden=16), WIDTH, CLASSES, hashed=False).eval()
    sampling = sampling_of(student, TrainingConfig(fanout=NODES), around=1)
    seeds = np.array([3, 40])
    (batch,) = sampled_batches(data, [seeds], sampling, np.random.default_rng(0))
    near = np.concatenate([data.adjacency.neighbors(int(seed)) for seed in seeds])
    with torch.no_grad():
        whole = student(data.features, data.edges).logits
        logits = student(batch.features, batch.edges, reach=batch.reach).logits
    read = np.flatnonzero(np.isin(batch.nodes.numpy(), [*seeds, *near]))
    assert read.tolist() == list(range(len(np.unique([*seeds, *near]))))
    torch.testing.assert_close(logits[read], whole[batch.nodes[read]], atol=1e-5, rtol=1e-4)
    ends = batch.edges.edge_index[:, batch.edges.edge_index[1] < len(seeds)]
    assert ends.shape[1] == len(near)


def test_an_objective_that_reads_neighbors_finds_them_in_batches() -> None:
    data = small_data()
    config = StudentConfig(hidden=16)
    student = Student(config, WIDTH, CLASSES, hashed=False)
    terms = make_terms({"cross_entropy": 1, "ff": 1}, data, config, ObjectiveOptions())
    training = train(student, data, terms, TrainingConfig(epochs=8, batch_size=16, fanout=3))
    assert training.epochs[-1].loss < training.epochs[0].loss


def test_mapping_the_table_first_gives_the_same_activations_and_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = small_graph()
    features = HashedFeatures(TextHasher(HashingOptions(buckets=16))(graph.texts.to_pylist()), 16)
    torch.manual_seed(0)
    student = Student(StudentConfig(hidden=16), 16, CLASSES, hashed=True)
    assert isinstance(student.input, HashedInput)
    torch.nn.init.normal_(student.input.table)

    def embedded() -> tuple[Tensor, list[Tensor | None]]:
        student.zero_grad()
        h = student.embed(features)
        h.square().mean().backward()
        return h.detach(), [weights.grad for weights in student.parameters()]

    assert features.entries >= 16 * network.ENTRIES_A_BUCKET
    assert student.input.mapped_rows(features) is not None
    first, found = embedded()
    monkeypatch.setattr(network, "ENTRIES_A_BUCKET", 2**40)
    assert student.input.mapped_rows(features) is None
    second, expected = embedded()
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-3)


def test_hashed_features_are_batched_too() -> None:
    graph = small_graph()
    options = HashingOptions(buckets=256)
    features = HashedFeatures(TextHasher(options)(graph.texts.to_pylist()), 256)
    data = replace(small_data(), features=features)
    config = StudentConfig(kind="gcn", hidden=16)
    student = Student(config, 256, CLASSES, hashed=True)
    terms = make_terms({"cross_entropy": 1, "unlabeled": 1}, data, config, ObjectiveOptions())
    training = train(student, data, terms, TrainingConfig(epochs=8, batch_size=32, fanout=4))
    assert training.epochs[-1].loss < training.epochs[0].loss


@pytest.mark.parametrize(
    ("labeled", "size", "expected"),
    [(3, 20, 3), (40, 20, 6), (400, 20, 16), (3, 2, 1), (400, 2, 1)],
)
def test_every_step_has_training_nodes_and_an_epoch_passes_once_over_the_others(
    labeled: int, size: int, expected: int
) -> None:
    train, others = np.arange(labeled), labeled + np.arange(100)
    for _ in range(2):
        steps = list(seed_steps(train, others, size, np.random.default_rng(0)))
        for own in steps:
            assert len(np.unique(own)) == len(own) <= size
            assert (own < labeled).sum() == expected
        seen = np.concatenate(steps)
        assert sorted(seen[seen >= labeled].tolist()) == others.tolist()


def test_without_other_nodes_an_epoch_passes_once_over_the_training_nodes() -> None:
    steps = list(seed_steps(np.arange(50), np.arange(0), 20, np.random.default_rng(0)))
    assert [len(own) for own in steps] == [20, 20, 10]
    assert sorted(np.concatenate(steps).tolist()) == list(range(50))


def test_the_room_that_calls_share_changes_nothing_that_is_drawn() -> None:
    adjacency, position = small_graph().adjacency, np.full(NODES, -1)
    for seeds in (np.array([7, 3, 50]), np.array([3, 8])):
        *apart, around = sample(adjacency, seeds, 2, 2, np.random.default_rng(0))
        *together, near = sample(adjacency, seeds, 2, 2, np.random.default_rng(0), position)
        assert around == near
        for mine, theirs in zip(together, apart, strict=True):
            assert np.array_equal(mine, theirs)
