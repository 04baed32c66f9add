"""Objectives that read the teacher's features."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.config import ObjectiveOptions, StudentConfig
from training.data import Batch, GraphData, Targets
from training.errors import TeacherError
from training.losses.objectives import Objective, Reach, nothing
from training.student.network import Student, StudentOutput


@dataclass(frozen=True, slots=True)
class FeatureNodes:
    """Shapes: mask: bool [N]; classes: int64 [N], read where the mask is true."""

    mask: Tensor
    classes: Tensor
    reach: Reach  # whether there are others than training nodes among them

    def rows(self, batch: Batch) -> Tensor:
        """Positions of the batch's seeds that are among them, int64."""
        return batch.seeds[self.mask[batch.nodes[: batch.num_seeds]]]


def feature_nodes(targets: Targets, data: GraphData) -> FeatureNodes:
    """The training nodes that the teacher was asked about, with their labels.

    A transformer that was tuned on nodes has drawn their features together by their labels, as it
    does with no node that it has not seen: a student that learned from them would learn what is
    true of them alone. Where a teacher was tuned on training nodes, its features teach on all asked
    nodes but those, each standing for the class that the teacher says; a training node that was not
    tuned on stands for its label. No label of validation or test is read.

    Raises:
        TeacherError: there is no such node.
    """
    mask, reach = shown_nodes(targets, data.train)
    classes = targets.log_probabilities.argmax(1)
    classes[data.train] = data.labels[data.train]
    return FeatureNodes(mask, classes, reach)


def shown_nodes(targets: Targets, train: Tensor) -> tuple[Tensor, Reach]:
    """Which nodes these are, bool [N], and whether there are others than training nodes.

    Raises:
        TeacherError: there is none.
    """
    in_train = torch.zeros_like(targets.asked)
    in_train[train] = True
    own = targets.asked & ~targets.tuned
    reach: Reach = "all" if bool((in_train & targets.tuned).any()) else "train"
    mask = own & (in_train if reach == "train" else in_train | targets.known)
    if not bool(mask.any()):
        raise TeacherError(
            "the teacher shows features of no node that it was not tuned on; let it be asked about "
            "more nodes (--max-nodes of `understudy teach`)"
        )
    return mask, reach


def check_shown(targets: Targets, train: Tensor, student: StudentConfig) -> None:
    """Refuses a teacher from whose features nothing can be learned.

    Raises:
        TeacherError: see `shown_nodes`.
    """
    shown_nodes(targets, train)


def contrastive_loss(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    anchors: Tensor,
    temperature: float,
    block: int,
) -> Tensor:
    """InfoNCE of each anchor against its own teacher feature (arXiv 1807.03748, as LinguGKD,
    arXiv 2402.05894, uses it).

    Negatives are the candidates of another class; others of the same class are left out. Scores
    are made for `block` anchors at a time and made again in the backward pass, so that memory is
    block by candidates and not their square.

    Shapes:
        student, teacher: float [M, d], rows of unit norm; row i of both is one node, a candidate
        labels: int64 [M]
        anchors: int64 [A], positions among the candidates
    """
    total = student.new_zeros(())
    for part in anchors.split(block):
        total = total + checkpoint(
            block_loss, student, teacher, labels, part, temperature, use_reentrant=False
        )
    return total / len(anchors)


def block_loss(
    student: Tensor, teacher: Tensor, labels: Tensor, anchors: Tensor, temperature: float
) -> Tensor:
    """The sum of the anchors' losses, nats."""
    scores = student[anchors] @ teacher.T / temperature  # [A, M]
    own = scores.gather(1, anchors[:, None]).squeeze(1)
    same = labels[anchors, None] == labels[None]
    same = same.scatter(1, anchors[:, None], False)  # the positive stays
    return (scores.masked_fill(same, float("-inf")).logsumexp(1) - own).sum()


def matched_layers(hops: Sequence[int], layers: int) -> list[tuple[int, int]]:
    """(layer, row of the hop's features): h(l) of the student against hop l of the teacher.

    Raises:
        TeacherError: no hop is as shallow as the student.
    """
    pairs = [(hop, row) for row, hop in enumerate(hops) if hop <= layers]
    if not pairs:
        raise TeacherError(
            f"lingugkd matches hop l with layer l: the teacher's hops are {tuple(hops)}, and the "
            f"student has {layers} layers; raise --layers, or name other objectives"
        )
    return pairs


def check_contrast(targets: Targets, train: Tensor, student: StudentConfig) -> None:
    """Refuses a teacher with whose hops no layer can be contrasted.

    Raises:
        TeacherError: see `shown_nodes` and `matched_layers`.
    """
    check_shown(targets, train, student)
    matched_layers(targets.hops, student.layers)


class Projector(nn.Module):
    """Teacher features into the student's space: [M, d_T] → [M, d] (LinguGKD)."""

    def __init__(self, source: int, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(source, width), nn.PReLU(), nn.LayerNorm(width), nn.Dropout(dropout)
        )

    def forward(self, features: Tensor) -> Tensor:
        projected: Tensor = self.layers(features)
        return projected


class LayerContrast(Objective):
    """The mean of `contrastive_loss` over the layers that the teacher has a hop for.

    Each hop has its own projector, then all share one bias-free map (LinguGKD). There the layers'
    shares are a softmax of learned numbers; their gradient moves them to whichever loss is already
    small, so ours are equal and fixed.
    """

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        nodes = feature_nodes(targets, data)
        features = targets.required_features("lingugkd")
        self.pairs = matched_layers(targets.hops, student.layers)
        self.targets, self.nodes, self.options = targets, nodes, options
        self.reach = nodes.reach
        self.projectors = nn.ModuleList(
            Projector(features.shape[2], student.hidden, options.projector_dropout)
            for _ in self.pairs
        )
        self.shared = nn.Linear(student.hidden, student.hidden, bias=False)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = self.nodes.rows(batch)
        rows = rows[torch.randperm(len(rows))[: self.options.candidates]]
        if not len(rows):
            return nothing(output)
        own = batch.nodes[rows]
        count = min(len(rows), self.options.anchors)
        anchors = torch.arange(count, device=rows.device)  # rows are in random order
        losses = [
            contrastive_loss(
                F.normalize(output.hidden[layer][rows], dim=1),
                F.normalize(self.project(number, row, own), dim=1),
                self.nodes.classes[own],
                anchors,
                self.options.contrast_temperature,
                self.options.block,
            )
            for number, (layer, row) in enumerate(self.pairs)
        ]
        return torch.stack(losses).mean()

    def project(self, number: int, row: int, nodes: Tensor) -> Tensor:
        features = self.targets.required_features("lingugkd")[row, nodes].float()
        projected: Tensor = self.shared(self.projectors[number](features))
        return projected


def norm_direction_loss(student: Tensor, teacher: Tensor, directions: Tensor) -> Tensor:
    """Mean of 1 - s·ê / max(‖s‖, ‖t‖) (the ND loss of arXiv 2305.17007).

    Zero where s points along its class's direction and is at least as long as t.

    Shapes:
        student, teacher: float [B, d]
        directions: the unit class mean of each node's class, float [B, d]
    """
    longest = torch.maximum(student.norm(dim=1), teacher.norm(dim=1)).clamp(min=1e-8)
    return (1 - (student * directions).sum(1) / longest).mean()


class NormDirection(Objective):
    """`norm_direction_loss` of the last layer, mapped linearly into the teacher's space."""

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        nodes = feature_nodes(targets, data)
        features = targets.required_features("nd")[-1]
        self.targets, self.nodes, self.reach = targets, nodes, nodes.reach
        self.project = nn.Linear(student.hidden, features.shape[1], bias=False)
        own, classes = features[nodes.mask].float(), nodes.classes[nodes.mask]
        self.means = class_means(own, classes, targets.classes)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = self.nodes.rows(batch)
        if not len(rows):
            return nothing(output)
        own = batch.nodes[rows]
        teacher = self.targets.required_features("nd")[-1, own].float()
        directions = F.normalize(self.means, dim=1)[self.nodes.classes[own]]
        return norm_direction_loss(self.project(output.hidden[-1][rows]), teacher, directions)


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """float32 [C, d]; zero for a class without a row."""
    sums = features.new_zeros(classes, features.shape[1]).index_add_(0, labels, features)
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return sums / counts[:, None]


def subclass_loss(logits: Tensor, within: Tensor, targets: Tensor, target_within: Tensor) -> Tensor:
    """KL over subclasses, p(c, s) = p(c) p(s | c) on both sides (after LELP, arXiv 2409.20449).

    Summed over s, the student's p(c, s) is p(c) of the served head by construction.

    Shapes:
        logits, targets: the student's logits and the teacher's log-probabilities, float [B, C]
        within: the student's logits of subclasses in their class, float [B, C, S]
        target_within: log-probabilities of the same, float [B, C, S]
    """
    student = logits.log_softmax(1)[:, :, None] + within.log_softmax(2)
    teacher = targets[:, :, None] + target_within
    return (teacher.exp() * (teacher - student)).sum((1, 2)).mean()


def class_axes(features: Tensor, labels: Tensor, classes: int, axes: int) -> tuple[Tensor, Tensor]:
    """Each class's mean, float32 [C, d], and principal axes over their deviations, [C, d, S].

    An axis is divided by its standard deviation; a class of few nodes has zeros in place of the
    axes that it lacks.
    """
    width = features.shape[1]
    means, maps = features.new_zeros(classes, width), features.new_zeros(classes, width, axes)
    for label in range(classes):
        own = features[labels == label]
        if len(own) < 2:
            continue
        means[label] = own.mean(0)
        _, scale, directions = torch.linalg.svd(own - means[label], full_matrices=False)
        kept = int((scale[:axes] > 1e-6).sum())
        deviation = scale[:kept] / (len(own) - 1) ** 0.5
        maps[label, :, :kept] = (directions[:kept] / deviation[:, None]).T
    return means, maps


class Subclasses(Objective):
    """`subclass_loss` on all nodes that the teacher was asked about and not tuned on; the head of
    subclasses is dropped after training.
    """

    reach = "all"

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        nodes = feature_nodes(targets, data)
        features = targets.required_features("lelp")[-1]
        self.targets, self.options = targets, options
        self.read = targets.asked & targets.known & ~targets.tuned
        self.means, self.axes = class_axes(
            features[nodes.mask].float(),
            nodes.classes[nodes.mask],
            targets.classes,
            options.subclasses,
        )
        self.head = nn.Linear(student.hidden, targets.classes * options.subclasses)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.seeds[self.read[batch.nodes[: batch.num_seeds]]]
        if not len(rows):
            return nothing(output)
        nodes = batch.nodes[rows]
        features = self.targets.required_features("lelp")[-1, nodes].float()
        shape = (len(rows), self.targets.classes, self.options.subclasses)
        return subclass_loss(
            output.logits[rows],
            self.head(output.hidden[-1][rows]).view(shape),
            self.targets.log_probabilities[nodes],
            self.within(features),
        )

    def within(self, features: Tensor) -> Tensor:
        """The teacher's log-probabilities of subclasses in their class, float32 [B, C, S]."""
        # (x - m) A = x A - m A, without a [B, C, d] difference in between
        scores = torch.einsum("bd,cds->bcs", features, self.axes)
        scores = scores - torch.einsum("cd,cds->cs", self.means, self.axes)
        return (scores / self.options.subclass_temperature).log_softmax(2)
