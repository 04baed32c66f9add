"""Every objective against the same sum written out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.unit.training.samples import small_data
from training.config import AROUND, OBJECTIVES, ObjectiveOptions, StudentConfig, TrainingConfig
from training.data import Batch, GraphData, edges, whole_graph
from training.errors import TeacherError, TrainingError
from training.loop import train
from training.losses.features import (
    LayerContrast,
    class_axes,
    class_means,
    contrastive_loss,
    norm_direction_loss,
    subclass_loss,
)
from training.losses.objectives import MAKERS, make_objective, make_terms
from training.losses.probabilities import (
    balanced_divergence_loss,
    high_frequency_loss,
    low_frequency_loss,
    mixed_loss,
    soft_label_loss,
)
from training.student.network import Student, StudentOutput
from understudy.graph.csr import build_adjacency

SMALL = StudentConfig(kind="sage", layers=2, hidden=16, dropout=0.0)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def rows(log_probabilities: Tensor) -> list[list[float]]:
    return [[math.exp(v) for v in row] for row in log_probabilities.double().tolist()]


def test_soft_labels() -> None:
    logits, targets = drawn(3, 4), drawn(3, 4, seed=1).log_softmax(1)
    student = rows((logits / 2).log_softmax(1))
    teacher = rows((targets / 2).log_softmax(1))
    expected = 4 * np.mean([kl(t, s) for t, s in zip(teacher, student, strict=True)])
    assert float(soft_label_loss(logits, targets, 2.0)) == pytest.approx(expected, rel=1e-5)
    assert float(soft_label_loss(targets, targets, 2.0)) == pytest.approx(0, abs=1e-6)


def test_balanced_divergence() -> None:
    logits, targets = drawn(3, 4), drawn(3, 4, seed=1).log_softmax(1)
    expected = 0.0
    for t, s in zip(rows(targets), rows(logits.log_softmax(1)), strict=True):
        surprise = [-sum(p * math.log(p) for p in row) for row in (t, s)]
        share = 1 / (1 + math.exp(surprise[1] - surprise[0]))
        expected += (share * kl(t, s) + (1 - share) * kl(s, t)) / 3
    loss = balanced_divergence_loss(logits, targets, 1.0)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("block", [1, 2, 100])
def test_contrast_whatever_the_block(block: int) -> None:
    student, teacher = (F.normalize(drawn(6, 5, seed=seed), dim=1) for seed in (0, 1))
    labels, anchors = torch.tensor([0, 1, 0, 2, 1, 0]), torch.tensor([0, 2, 3, 4])
    expected = 0.0
    for a in anchors.tolist():
        scores = [float(student[a] @ teacher[c]) / 0.07 for c in range(6)]
        kept = [c for c in range(6) if c == a or labels[c] != labels[a]]
        total = sum(math.exp(scores[c] - scores[a]) for c in kept)
        expected += math.log(total) / len(anchors)
    loss = contrastive_loss(student, teacher, labels, anchors, 0.07, block)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_blocks_do_not_change_gradients() -> None:
    gradients = []
    for block in (2, 100):
        student = drawn(6, 5).requires_grad_()
        loss = contrastive_loss(
            F.normalize(student, dim=1),
            F.normalize(drawn(6, 5, seed=1), dim=1),
            torch.tensor([0, 1, 0, 2, 1, 0]),
            torch.arange(6),
            0.07,
            block,
        )
        loss.backward()
        assert student.grad is not None
        gradients.append(student.grad)
    torch.testing.assert_close(*gradients)


def test_norm_and_direction() -> None:
    student, teacher = drawn(4, 3), drawn(4, 3, seed=1)
    labels = torch.tensor([0, 0, 1, 1])
    means = class_means(teacher, labels, 2)
    torch.testing.assert_close(means[0], teacher[:2].mean(0))
    directions = F.normalize(means, dim=1)[labels]
    expected = 0.0
    for s, t, e in zip(student.tolist(), teacher.tolist(), directions.tolist(), strict=True):
        dot = sum(a * b for a, b in zip(s, e, strict=True))
        longest = max(math.hypot(*s), math.hypot(*t))
        expected += (1 - dot / longest) / 4
    loss = norm_direction_loss(student, teacher, directions)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_subclasses() -> None:
    logits, targets = drawn(3, 2), drawn(3, 2, seed=1).log_softmax(1)
    within, target_within = drawn(3, 2, 4, seed=2), drawn(3, 2, 4, seed=3).log_softmax(2)
    expected = 0.0
    for i in range(3):
        for c in range(2):
            for s in range(4):
                q = float(logits[i].softmax(0)[c] * within[i, c].softmax(0)[s])
                p = math.exp(float(targets[i, c] + target_within[i, c, s]))
                expected += p * math.log(p / q) / 3
    loss = subclass_loss(logits, within, targets, target_within)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_axes_are_those_along_which_a_class_varies() -> None:
    features = torch.zeros(40, 5)
    features[:20, 2] = torch.linspace(-3, 3, 20)  # class 0 varies along the third number alone
    features[20:] = drawn(20, 5)
    labels = torch.arange(40) // 20
    means, axes = class_axes(features, labels, 3, axes=2)
    torch.testing.assert_close(means[1], features[20:].mean(0))
    assert axes[0, :, 0].abs().argmax() == 2
    assert (axes[0, :, 1] == 0).all()
    assert (axes[2] == 0).all()
    projected = (features[:20] - means[0]) @ axes[0, :, 0]
    assert float(projected.std()) == pytest.approx(1, abs=1e-5)


def test_frequencies() -> None:
    logits, targets = drawn(4, 3), drawn(4, 3, seed=1).log_softmax(1)
    pairs = torch.tensor([[1, 2, 0], [0, 0, 3]])
    student, teacher = rows(logits.log_softmax(1)), rows(targets)
    low = np.mean([kl(teacher[j], student[i]) for j, i in pairs.T.tolist()])
    assert float(low_frequency_loss(logits, targets, pairs)) == pytest.approx(low, rel=1e-5)
    high = 0.0
    for j, i in pairs.T.tolist():
        gaps = [
            rows((z[i] - z[j]).abs()[None].div(0.5).log_softmax(1))[0] for z in (targets, logits)
        ]
        high += kl(*gaps) / 3
    loss = high_frequency_loss(logits, targets, pairs, 0.5)
    assert float(loss) == pytest.approx(high, rel=1e-4)


def test_mixtures() -> None:
    logits, targets = drawn(3, 4), drawn(3, 4, seed=1).log_softmax(1)
    partners, shares = torch.tensor([2, 0, 1]), torch.tensor([[0.3], [0.9], [0.5]])
    student, teacher = rows(logits.log_softmax(1)), rows(targets)
    expected = 0.0
    for i in range(3):
        share, j = float(shares[i]), int(partners[i])
        mixed = [share * a + (1 - share) * b for a, b in zip(teacher[i], teacher[j], strict=True)]
        expected += kl(mixed, student[i]) / 3
    assert float(mixed_loss(logits, targets, partners, shares)) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def data() -> GraphData:
    return small_data()


def outputs(data: GraphData) -> tuple[Student, StudentOutput, Batch]:
    torch.manual_seed(0)
    student = Student(SMALL, 12, 3, hashed=False)
    batch = whole_graph(data)
    return student, student(batch.features, batch.edges), batch


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_moves_every_part_of_the_student(name: str, data: GraphData) -> None:
    student, output, batch = outputs(data)
    objective = make_objective(name, data, SMALL, ObjectiveOptions())
    loss = objective(student, output, batch)
    assert loss.isfinite()
    loss.backward()
    gradient = student.get_parameter("input.weight").grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    for weight in objective.parameters():
        assert weight.grad is not None


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_objective_reads_features_of_a_node_that_was_only_reached(
    name: str, data: GraphData
) -> None:
    targets = data.targets
    assert targets is not None
    assert targets.features is not None
    asked = targets.asked.clone()
    asked[::2] = False
    features = targets.features.clone()
    features[:, ~asked] = torch.nan
    some = replace(data, targets=replace(targets, asked=asked, features=features))
    student, output, batch = outputs(some)
    assert make_objective(name, some, SMALL, ObjectiveOptions())(student, output, batch).isfinite()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_batch_of_which_the_teacher_says_nothing_costs_nothing(
    name: str, data: GraphData
) -> None:
    student, output, batch = outputs(data)
    none = batch.train[:0]
    silent = replace(batch, num_seeds=0, train=none, untrained=none)
    loss = make_objective(name, data, SMALL, ObjectiveOptions())(student, output, silent)
    assert loss.item() == 0
    loss.backward()
    weight = student.get_parameter("input.weight")
    assert weight.grad is not None
    assert not weight.grad.any()


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_an_objective_without_a_teacher_is_refused(name: str) -> None:
    bare = small_data(teacher=False)
    with pytest.raises(TeacherError, match="needs a teacher"):
        make_objective(name, bare, SMALL, ObjectiveOptions())


@pytest.mark.parametrize("name", ["lingugkd", "nd", "lelp"])
def test_an_endpoints_answers_have_no_features(name: str) -> None:
    with pytest.raises(TeacherError, match="features"):
        make_objective(name, small_data(features=False), SMALL, ObjectiveOptions())


@pytest.mark.parametrize(
    "weights",
    [
        {"kd": -1.0},
        {"cross_entropy": math.nan},
        {"cross_entropy": math.inf},
        {},
        {"cross_entropy": 0.0},
        {"magic": 1.0},
    ],
)
def test_weights_are_checked(weights: dict[str, float], data: GraphData) -> None:
    with pytest.raises(TrainingError):
        make_terms(weights, data, SMALL, ObjectiveOptions())


def test_the_contrasts_layers_count_alike_however_small_ones_loss_is(data: GraphData) -> None:
    torch.manual_seed(0)
    student = Student(SMALL, 12, 3, hashed=False)
    names = set(student.state_dict())
    terms = make_terms({"cross_entropy": 1, "lingugkd": 1}, data, SMALL, ObjectiveOptions())
    train(student, data, terms, TrainingConfig(epochs=20))
    assert set(student.state_dict()) == names
    contrast = terms[1].objective.eval()
    assert isinstance(contrast, LayerContrast)
    batch, rows = whole_graph(data), data.train
    with torch.no_grad():
        output = student(batch.features, batch.edges)
        layers = [
            contrastive_loss(
                F.normalize(output.hidden[layer][rows], dim=1),
                F.normalize(contrast.project(layer, layer, rows), dim=1),
                data.labels[rows],
                torch.arange(len(rows)),
                0.07,
                512,
            ).item()
            for layer in range(3)
        ]
        found = contrast(student, output, batch).item()
    assert max(layers) > 1.05 * min(layers)
    assert found == pytest.approx(np.mean(layers), rel=1e-4)


def test_hops_that_no_layer_stands_for_are_refused(data: GraphData) -> None:
    assert data.targets is not None
    far = replace(data, targets=replace(data.targets, hops=(3, 4, 5)))
    with pytest.raises(TeacherError, match=r"the teacher's hops are \(3, 4, 5\).*--layers"):
        make_terms({"lingugkd": 1.0, "cross_entropy": 1.0}, far, SMALL, ObjectiveOptions())


@pytest.mark.parametrize("names", [["lingugkd"], ["nd"], ["lingugkd", "nd"]])
def test_a_loss_that_leaves_the_head_untrained_is_refused(
    names: list[str], data: GraphData
) -> None:
    with pytest.raises(TrainingError, match="last layer untrained; leave out cross_entropy=0"):
        make_terms(dict.fromkeys(names, 1.0), data, SMALL, ObjectiveOptions())
    make_terms({**dict.fromkeys(names, 1.0), "kd": 0.5}, data, SMALL, ObjectiveOptions())


def tuned_on_training(data: GraphData) -> GraphData:
    """A teacher whose transformer was tuned on every training node; their features are NaN."""
    assert data.targets is not None
    assert data.targets.features is not None
    tuned = torch.zeros_like(data.targets.asked)
    tuned[data.train] = True
    features = data.targets.features.clone()
    features[:, tuned] = torch.nan
    return replace(data, targets=replace(data.targets, tuned=tuned, features=features))


def test_what_reads_neighbors_is_known_before_an_objective_is_made(data: GraphData) -> None:
    made = {name: make_objective(name, data, SMALL, ObjectiveOptions()) for name in OBJECTIVES}
    assert {name for name, own in made.items() if own.reads_neighbors} == set(AROUND)


@pytest.mark.parametrize("name", ["lingugkd", "nd", "lelp"])
def test_features_of_nodes_that_were_tuned_on_teach_nothing(name: str, data: GraphData) -> None:
    tuned = tuned_on_training(data)
    student, output, batch = outputs(tuned)
    objective = make_objective(name, tuned, SMALL, ObjectiveOptions())
    loss = objective(student, output, batch)
    assert loss.isfinite()
    assert float(loss.detach()) > 0  # other nodes teach in their place
    assert objective.reach == "all"


@pytest.mark.parametrize("name", ["lingugkd", "nd", "lelp"])
def test_features_read_no_label_but_those_of_training(name: str, data: GraphData) -> None:
    other = data.labels.clone()
    rest = torch.cat([data.val, data.test])
    other[rest] = (other[rest] + 1) % 3
    losses = []
    for one in (data, replace(data, labels=other)):
        tuned = tuned_on_training(one)
        student, output, batch = outputs(tuned)
        torch.manual_seed(1)
        objective = make_objective(name, tuned, SMALL, ObjectiveOptions())
        losses.append(objective(student, output, batch).item())
    assert losses[0] == losses[1]


def test_kd_is_refused_where_nothing_is_said_about_training_nodes(data: GraphData) -> None:
    assert data.targets is not None
    known = torch.ones_like(data.targets.known)
    known[data.train] = False
    silent = replace(data, targets=replace(data.targets, known=known))
    with pytest.raises(TeacherError, match="'kd' learns what the teacher says about training"):
        make_terms({"cross_entropy": 1.0, "kd": 1.0}, silent, SMALL, ObjectiveOptions())


def test_a_node_without_neighbours_hears_the_low_frequency(data: GraphData) -> None:
    student, output, batch = outputs(data)
    nothing = build_adjacency(len(data.labels), np.empty((0, 2), np.int64))[0]
    edgeless = replace(batch, edges=edges(nothing))
    loss = make_objective("ff", data, SMALL, ObjectiveOptions())(student, output, edgeless)
    assert data.targets is not None
    own = torch.arange(len(data.labels)).repeat(2, 1)
    expected = low_frequency_loss(output.logits, data.targets.log_probabilities, own)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
