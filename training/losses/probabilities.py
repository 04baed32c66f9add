"""Objectives that read the teacher's class probabilities."""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.config import ObjectiveOptions, StudentConfig
from training.data import Batch, GraphData, Targets
from training.losses.objectives import Objective, Reach, nothing
from training.student.network import Student, StudentOutput


def soft_label_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² KL(teacher ‖ student), both softened by T (arXiv 1503.02531, section 2).

    With T = 1 on all nodes it is GLNN's distillation loss too (arXiv 2110.08727).

    Shapes:
        logits: the student's, float [B, C]
        targets: the teacher's log-probabilities, float [B, C]
    """
    student = (logits / temperature).log_softmax(1)
    teacher = (targets / temperature).log_softmax(1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def balanced_divergence_loss(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Forward and reverse KL, weighted per node by the difference of entropies (arXiv 2212.12965).

    The forward divergence penalises missing mass; it dominates where the student is more certain
    than the teacher. The reverse divergence penalises misplaced mass; it dominates where the
    student is less certain. The weight of the forward divergence is sigmoid(H(teacher) -
    H(student)), our choice; no gradient flows through it.
    """
    student = (logits / temperature).log_softmax(1)
    teacher = (targets / temperature).log_softmax(1)
    forward = (teacher.exp() * (teacher - student)).sum(1)
    reverse = (student.exp() * (student - teacher)).sum(1)
    share = torch.sigmoid(entropy(teacher) - entropy(student)).detach()
    return temperature**2 * (share * forward + (1 - share) * reverse).mean()


def entropy(log_probabilities: Tensor) -> Tensor:
    """Entropy in nats, [B]."""
    return -(log_probabilities.exp() * log_probabilities).sum(1)


class SoftLabels(Objective):
    """`soft_label_loss`, or its balanced form, on training nodes or on all other nodes."""

    reads_last = False

    def __init__(
        self,
        data: GraphData,
        targets: Targets,
        student: StudentConfig,
        options: ObjectiveOptions,
        unlabeled: bool = False,
        balanced: bool = False,
    ) -> None:
        super().__init__()
        self.targets, self.temperature = targets, options.temperature
        self.unlabeled = unlabeled
        self.reach: Reach = "all" if unlabeled else "train"
        self.loss = balanced_divergence_loss if balanced else soft_label_loss

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.untrained if self.unlabeled else batch.train
        rows = rows[self.targets.known[batch.nodes[rows]]]
        if not len(rows):
            return nothing(output)
        targets = self.targets.log_probabilities[batch.nodes[rows]]
        return self.loss(output.logits[rows], targets, self.temperature)


def low_frequency_loss(logits: Tensor, targets: Tensor, pairs: Tensor) -> Tensor:
    """Mean over pairs of KL(teacher at j ‖ student at i) (FF-G2M, arXiv 2305.10758).

    Shapes:
        logits, targets: the student's logits and the teacher's log-probabilities, float [n, C]
        pairs: int64 [2, P], (j, i); as published, every node is among its own neighbours
    """
    student = logits.log_softmax(1)[pairs[1]]
    return F.kl_div(student, targets[pairs[0]], reduction="batchmean", log_target=True)


def high_frequency_loss(
    logits: Tensor, targets: Tensor, pairs: Tensor, temperature: float
) -> Tensor:
    """Mean over pairs of KL between softmax(|z_i - z_j| / τ) of both (FF-G2M).

    z are logits, as published. For the teacher they are log-probabilities, which are logits whose
    exponentials sum to 1.

    Shapes: as `low_frequency_loss`'s; no pair joins a node with itself, whose difference is 0
    """
    student, teacher = (
        ((z[pairs[1]] - z[pairs[0]]).abs() / temperature).log_softmax(1) for z in (logits, targets)
    )
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Frequencies(Objective):
    """Both FF-G2M losses, over the batch's edges with teacher answers at both ends; at most
    `options.pairs` per step.

    The low-frequency loss also pairs every node with itself, so that nodes without neighbours learn
    from the teacher, too.
    """

    reach: Reach = "all"
    reads_last = False
    reads_neighbors = True

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        self.targets, self.options = targets, options

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        edges = batch.edges.edge_index
        known = self.targets.known[batch.nodes]
        edges = edges[:, known[edges].all(0) & (edges[1] < batch.num_seeds)]
        own = batch.seeds[known[: batch.num_seeds]]
        pairs = self.sample(torch.cat([edges, own.repeat(2, 1)], dim=1))
        if not pairs.shape[1]:
            return nothing(output)
        targets = self.targets.log_probabilities[batch.nodes]
        low = low_frequency_loss(output.logits, targets, pairs)
        if not edges.shape[1]:
            return low
        return low + high_frequency_loss(
            output.logits, targets, self.sample(edges), self.options.frequency_temperature
        )

    def sample(self, pairs: Tensor) -> Tensor:
        """At most `options.pairs` of the pairs, drawn at random."""
        if pairs.shape[1] <= self.options.pairs:
            return pairs
        return pairs[:, torch.randperm(pairs.shape[1])[: self.options.pairs]]


def mixed_loss(logits: Tensor, targets: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    """KL(λ p_i + (1 - λ) p_j ‖ student at the mixture) (manifold mixup, arXiv 1806.05236).

    Shapes:
        logits: the student's, of the mixtures, float [B, C]
        targets: the teacher's log-probabilities, float [B, C]
        partners: int64 [B], positions; shares: float [B, 1], λ
    """
    probabilities = targets.exp()
    mixture = shares * probabilities + (1 - shares) * probabilities[partners]
    return F.kl_div(logits.log_softmax(1), mixture, reduction="batchmean")


class Mixtures(Objective):
    """`mixed_loss` with the last layer's activations mixed.

    Mixing the last layer instead of the input leaves each node's neighbourhood unchanged, as the
    two-branch mixup for graphs does (Wang et al., WWW 2021).
    """

    reach = "all"

    def __init__(
        self, data: GraphData, targets: Targets, student: StudentConfig, options: ObjectiveOptions
    ) -> None:
        super().__init__()
        self.targets, alpha = targets, torch.tensor(options.mixup_alpha)
        self.shares = torch.distributions.Beta(alpha, alpha)

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        rows = batch.seeds[self.targets.known[batch.nodes[: batch.num_seeds]]]
        if not len(rows):
            return nothing(output)
        h = output.hidden[-1][rows]
        partners = torch.randperm(len(rows))
        shares = self.shares.sample((len(rows), 1)).to(h.device)
        logits = student.head(student.drop(shares * h + (1 - shares) * h[partners]))
        targets = self.targets.log_probabilities[batch.nodes[rows]]
        return mixed_loss(logits, targets, partners, shares)
