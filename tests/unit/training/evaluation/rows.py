"""Invented rows of runs."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.evaluation.rows import Row
from training.recipe_names import LANGUAGE_FREE

ROW = Row(
    graph="kites",
    graph_hash="0a",
    split_kind="60/20/20",
    split=0,
    seed=0,
    encoder="hashing",
    student="sage",
    recipe="vanilla",
    teacher="",
    labeled=100,
    train=60,
    val=20,
    test=20,
    val_accuracy=0.5,
    test_accuracy=0.5,
    test_macro_f1=0.5,
    test_calibration_error=0.1,
    epochs=4,
    convergence_epoch=2,
    parameters=10,
    seconds=1.0,
    taught_accuracy=None,
    fifth_accuracy=None,
    unseen_0=None,
    unseen_1=None,
    unseen_3=None,
    unseen_all=None,
    panel=b"",
    panel_right=b"",
    date="2026-01-01T00:00:00+00:00",
    processor="one",
    cores=1,
    versions="python 3.11",
    command="understudy evaluate graph out",
)


def row(recipe: str, split: int, accuracy: float, seed: int = 0, **others: Any) -> Row:
    made: dict[str, Any] = {"teacher": "" if recipe in LANGUAGE_FREE else "a model", **others}
    return replace(ROW, recipe=recipe, split=split, seed=seed, test_accuracy=accuracy, **made)


def rows(recipe: str, accuracies: NDArray[np.float64], **others: Any) -> list[Row]:
    """One a split."""
    return [row(recipe, split, float(a), **others) for split, a in enumerate(accuracies)]
