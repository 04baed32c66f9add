"""Projections of student space and teacher space to a plane, for plots."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from training.evaluation.plan import EvaluationOptions, RunKey
from training.evaluation.run import TrainingInputs, train_recipe
from training.recipe_names import COMBINED
from understudy.graph.files import write_json

NODES = 800  # maximum number from the test split
AXES = 2


def write_map(out: Path, inputs: TrainingInputs, options: EvaluationOptions) -> None:
    """Writes map.json once: the two main axes of both spaces at test nodes. Writes nothing if there
    are too few test nodes, or the student is too narrow.
    """
    data, targets = inputs.data, inputs.data.targets
    if (out / "map.json").is_file() or targets is None or COMBINED not in options.recipes:
        return
    nodes = data.test[targets.asked[data.test]][:NODES]
    if min(len(nodes), options.hidden) < AXES:
        return
    encoder = options.encoders[0]
    key = RunKey(0, 0, encoder, options.students[0], COMBINED)
    student, _ = train_recipe(key, inputs, options, options.default_choice)
    with torch.no_grad():
        hidden = student(data.features, data.edges).hidden[-1][nodes]
    spaces = {"student": plane(hidden.numpy())}
    if targets.features is not None:
        spaces["teacher"] = plane(targets.features[-1, nodes].float().numpy())
    labels = data.labels[nodes].tolist()
    name = f"{key.student} on {encoder} features"
    write_json(out / "map.json", {"run": name, "labels": labels, **spaces})


def plane(values: NDArray[np.float32]) -> list[list[float]]:
    flat: NDArray[np.float32] = PCA(AXES, random_state=0).fit_transform(values)
    rows: list[list[float]] = flat.round(4).tolist()
    return rows
