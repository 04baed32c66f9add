"""The objectives that a student can learn from, by name; others can be registered.

An objective is a loss, possibly with parameters of its own, which are never served.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from training.config import LABELS, ObjectiveOptions, Registry, StudentConfig, check_weights
from training.data import Batch, GraphData, Targets
from training.errors import TeacherError, TrainingError
from training.student.network import Student, StudentOutput

Reach = Literal["train", "all"]


class Objective(nn.Module):
    """A loss over a batch's seeds.

    Its parameters are optimised with the student's and dropped after training. Per-node data of the
    graph is indexed by `batch.nodes`.
    """

    reach: Reach = "train"  # the nodes that it reads: those of the training split, or all
    reads_last: bool = True  # whether it reads the student's last activations, besides the logits
    reads_neighbors: bool = False  # whether it also reads outputs of the seeds' neighbours

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        """The scalar mean over nodes; 0 if the batch holds no node that it reads."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Term:
    name: str
    weight: float
    objective: Objective


class CrossEntropy(Objective):
    """Cross-entropy with the labels of the training nodes, in nats per node."""

    reads_last = False

    def forward(self, student: Student, output: StudentOutput, batch: Batch) -> Tensor:
        if not len(batch.train):
            return nothing(output)
        return F.cross_entropy(output.logits[batch.train], batch.labels[batch.train])


def nothing(output: StudentOutput) -> Tensor:
    """A differentiable zero."""
    return output.logits.sum() * 0.0


def total_loss(
    terms: Sequence[Term], student: Student, output: StudentOutput, batch: Batch
) -> Tensor:
    losses: list[Tensor] = [term.weight * term.objective(student, output, batch) for term in terms]
    return sum(losses[1:], losses[0])


Maker = Callable[[GraphData, Targets, StudentConfig, ObjectiveOptions], Objective]
Check = Callable[[Targets, Tensor, StudentConfig], None]  # the tensor: training nodes, int64


@dataclass(frozen=True, slots=True)
class ObjectiveKind:
    """How an objective is made and what it needs, known before texts are encoded."""

    make: Maker
    check: Check | None = None  # refuses a teacher that it cannot learn from
    reads_features: bool = False  # whether it reads teacher features; an endpoint has none
    trains_head: bool = True  # the student's last layer, whose logits are its answers
    reads_train: bool = False  # whether it reads only the teacher's answers about training nodes


MAKERS: Registry[ObjectiveKind] = Registry("objective")  # all but that of the labels


def register_objective(
    name: str,
    make: Maker,
    reads_features: bool = False,
    trains_head: bool = True,
    check: Check | None = None,
) -> None:
    """Registers an objective, so that a loss can give it a weight by name.

    Args:
        make: builds it from the graph's data, the teacher's answers, the student's shape and the
            constants
        reads_features: it needs the teacher's features, so an endpoint's answers are refused
        trains_head: its gradient reaches the student's head; a loss without any such objective is
            refused
        check: is called before texts are encoded, with the teacher's answers, the training nodes
            and the student's shape; raises `training.errors.TeacherError` if it cannot learn from
            them

    Raises:
        TrainingError: the name is taken.
    """
    if name == LABELS:
        raise TrainingError(f"the objective {name!r} is that of the labels; choose another name")
    MAKERS.register(name, ObjectiveKind(make, check, reads_features, trains_head))


def check_objectives(
    weights: Mapping[str, float], targets: Targets | None, train: Tensor, student: StudentConfig
) -> None:
    """Refuses a loss that cannot be built, or that would leave the student's head untrained.

    Args:
        train: int64, the labelled nodes of the training split

    Raises:
        TrainingError: see `check_weights`; or no objective trains the head.
        TeacherError: an objective needs something that the teacher does not give.
    """
    check_weights(weights, (LABELS, *MAKERS))
    used = [name for name, weight in weights.items() if weight and name != LABELS]
    for name in used:
        if targets is None:
            raise TeacherError(
                f"the objective {name!r} needs a teacher; name its folder with --teacher"
            )
        if MAKERS[name].reads_features:
            targets.required_features(name)
        if (check := MAKERS[name].check) is not None:
            check(targets, train, student)
        if MAKERS[name].reads_train and not bool(targets.known[train].any()):
            raise TeacherError(
                f"the objective {name!r} learns what the teacher says about training nodes, and "
                f"the view {targets.view!r} says nothing about those that it had not learned "
                "itself; take the view 'smoothed', or the objective 'unlabeled'"
            )
    if not weights.get(LABELS) and not any(MAKERS[name].trains_head for name in used):
        raise TrainingError(
            f"{', '.join(used)} alone would leave the student's last layer untrained; leave out "
            f"{LABELS}=0, or add kd or unlabeled"
        )


def make_terms(
    weights: Mapping[str, float], data: GraphData, student: StudentConfig, options: ObjectiveOptions
) -> list[Term]:
    """The terms of a loss; objectives' own parameters are drawn from torch's generator.

    Raises:
        TrainingError, TeacherError: see `check_objectives`.
    """
    check_objectives(weights, data.targets, data.train, student)
    return [
        Term(name, weight, make_objective(name, data, student, options))
        for name, weight in weights.items()
        if weight
    ]


def make_objective(
    name: str, data: GraphData, student: StudentConfig, options: ObjectiveOptions
) -> Objective:
    if name == LABELS:
        return CrossEntropy()
    if data.targets is None:
        raise TeacherError(
            f"the objective {name!r} needs a teacher; name its folder with --teacher"
        )
    return MAKERS[name].make(data, data.targets, student, options)
