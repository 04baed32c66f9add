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
    """The nodes whose features are learned from, with their classes.

    Shapes:
        mask: bool [N]
        classes: int64 [N], read where the mask is true
    """

    mask: Tensor
    classes: Tensor
    reach: Reach  # "all" if it includes other nodes than training nodes

    def rows(self, batch: Batch) -> Tensor:
        """Positions of the batch's seeds that are in the mask, int64."""
        return batch.seeds[self.mask[batch.nodes[: batch.num_seeds]]]


def feature_nodes(targets: Targets, data: GraphData) -> FeatureNodes:
    """The nodes whose features teach: by default, the training nodes the teacher was asked about.

    A transformer pulls the features of its tuning nodes together by label, but not those of unseen
    nodes. A student that learned from tuning nodes would learn a property that only they have. So
    if the teacher was tuned on training nodes, the features of all other asked nodes teach: each
    with the class that the teacher predicts, or with its label if it is a training node that the
    teacher was not tuned on. Labels of validation and test are never read.

    Raises:
        TeacherError: there is no such node.
    """
    mask, reach = shown_nodes(targets, data.train)
    classes = targets.log_probabilities.argmax(1)
    classes[data.train] = data.labels[data.train]
    return FeatureNodes(mask, classes, reach)


def shown_nodes(targets: Targets, train: Tensor) -> tuple[Tensor, Reach]:
    """The mask of these nodes, bool [N], and whether it includes other nodes than training nodes.

    Raises:
        TeacherError: it is empty.
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
    """Refuses a teacher whose features cannot teach.

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
    """InfoNCE of each anchor against its own teacher feature (arXiv 1807.03748), as LinguGKD
    (arXiv 2402.05894) uses it.

    Negatives are the candidates of another class; others of the same class are left out. Scores are
    computed for `block` anchors at a time and recomputed in the backward pass, so memory grows with
    block times candidates, not with candidates squared.

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
    """The sum of the anchors' losses, in nats."""
    scores = student[anchors] @ teacher.T / temperature  # [A, M]
    own = scores.gather(1, anchors[:, None]).squeeze(1)
    same = labels[anchors, None] == labels[None]
    same = same.scatter(1, anchors[:, None], False)  # keeps the positive
    return (scores.masked_fill(same, float("-inf")).logsumexp(1) - own).sum()


def matched_layers(hops: Sequence[int], layers: int) -> list[tuple[int, int]]:
    """(layer, row of the hop's features): matches h(l) of the student with hop l of the teacher.

    Raises:
        TeacherError: every hop exceeds the student's layers.
    """
    pairs = [(hop, row) for row, hop in enumerate(hops) if hop <= layers]
    if not pairs:
        raise TeacherError(
            f"lingugkd matches hop l with layer l: the teacher's hops are {tuple(hops)}, and the "
            f"student has {layers} layers; raise --layers, or name other objectives"
        )
    return pairs


def check_contrast(targets: Targets, train: Tensor, student: StudentConfig) -> None:
    """Refuses a teacher without a hop that matches a layer.

    Raises:
        TeacherError: see `shown_nodes` and `matched_layers`.
    """
    check_shown(targets, train, student)
    matched_layers(targets.hops, student.layers)


class Projector(nn.Module):
    """Projects teacher features into the student's space: [M, d_T] → [M, d] (LinguGKD)."""

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

    Each hop has its own projector, followed by one shared map without bias (LinguGKD). LinguGKD
    weights the layers by a softmax of learned numbers, whose gradient favours losses that are
    already small; here the weights are equal and fixed.
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

    It is zero if s points along its class's direction and is at least as long as t.

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
        within: the student's logits of subclasses within each class, float [B, C, S]
        target_within: the teacher's log-probabilities of the same, float [B, C, S]
    """
    student = logits.log_softmax(1)[:, :, None] + within.log_softmax(2)
    teacher = targets[:, :, None] + target_within
    return (teacher.exp() * (teacher - student)).sum((1, 2)).mean()


def class_axes(features: Tensor, labels: Tensor, classes: int, axes: int) -> tuple[Tensor, Tensor]:
    """Each class's mean, float32 [C, d], and the principal axes of its deviations, [C, d, S].

    An axis is divided by its standard deviation; missing axes of small classes are zeros.
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
    """`subclass_loss` on all nodes that the teacher was asked about and not tuned on; the subclass
    head is dropped after training.
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
        """The teacher's log-probabilities of subclasses within each class, float32 [B, C, S]."""
        # (x - m) A = x A - m A avoids a [B, C, d] intermediate
        scores = torch.einsum("bd,cds->bcs", features, self.axes)
        scores = scores - torch.einsum("cd,cds->cs", self.means, self.axes)
        return (scores / self.options.subclass_temperature).log_softmax(2)
