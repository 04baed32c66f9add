"""The training recipe of a bundle's student, for its model card; see `understudy.bundle.card`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.student.checkpoint import Checkpoint
from understudy.graph import TextGraph
from understudy.graph.text_graph import UNLABELED


def recipe_of(checkpoint: Checkpoint, graph: TextGraph) -> dict[str, Any]:
    """The recipe as JSON, without paths of the machine."""
    config = checkpoint.config
    teacher = asdict(config.teacher) if config.teacher else None
    if teacher is not None:
        del teacher["path"]
        teacher["model"] = named(teacher["model"])
    return {
        "graph": {
            "labeled": int(np.count_nonzero(graph.labels != UNLABELED)),
            "splits": {name: len(members) for name, members in graph.splits.items()},
        },
        "student": asdict(config.student),
        "terms": dict(config.terms),
        "training": asdict(config.training),
        "objectives": asdict(config.objectives),
        "teacher": teacher,
    }


def named(model: str) -> str:
    """A model's name without its folder."""
    return Path(model).name if Path(model).is_absolute() else model
