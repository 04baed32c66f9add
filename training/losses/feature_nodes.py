"""The nodes from whose features a student learns, and the class that each stands for."""

from dataclasses import dataclass

import torch
from torch import Tensor

from training.errors import TeacherError
from training.losses.base import Reach
from training.student.batches import Batch
from training.student.data import GraphData
from training.teacher.answers.targets import Targets


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
    train = torch.zeros_like(targets.asked)
    train[data.train] = True
    own = targets.asked & ~targets.tuned
    reach: Reach = "all" if bool((train & targets.tuned).any()) else "train"
    mask = own & (train if reach == "train" else train | targets.known)
    if not bool(mask.any()):
        raise TeacherError(
            "the teacher shows features of no node that it was not tuned on; let it be asked about "
            "more nodes (--max-nodes of `understudy teach`)"
        )
    classes = torch.where(train, data.labels, targets.log_probabilities.argmax(1))
    return FeatureNodes(mask, classes, reach)
