"""Choices among labels: which ones the student can answer, and their probabilities."""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from understudy.endpoint.naming import LabelReader
from understudy.engine.requests import SCORE_DECIMALS

Options = Sequence[str]
Columns = NDArray[np.int64]  # indices of the label names


class Shares(Struct):
    """The probabilities of a question's options, in their order.

    Attributes:
        best: position of the most probable option.
        confidence: 0 if all options are equally probable, 1 if one is certain.
    """

    best: int
    confidence: float
    probabilities: list[float]


def own_choices(questions: Sequence[Options | None], reader: LabelReader) -> dict[int, Columns]:
    """Finds the questions whose options are distinct labels; position → these labels.

    Args:
        questions: the options of each question; None if it is not a choice among texts.
    """
    found: dict[int, Columns] = {}
    for position, options in enumerate(questions):
        columns = None if options is None else own_columns(options, reader)
        if columns is not None:
            found[position] = columns
    return found


def own_columns(options: Options, reader: LabelReader) -> Columns | None:
    columns: list[int] = []
    exact = reader.exact
    for option in options:
        column = exact.get(option)
        if column is None and (column := reader.find(option)) is None:
            return None
        columns.append(column)
    return np.array(columns, np.int64) if len(set(columns)) == len(columns) else None


def shares(logits: NDArray[np.float32], temperature: float, columns: Columns) -> Shares:
    """Computes the calibrated probabilities of some labels, normalised to sum 1.

    This is the softmax of their logits alone. The confidence follows the specification of
    `/v1/systemone`, section 4.5: (p - 1/n) / (1 - 1/n) for the best option's p among n.

    Shapes:
        logits: [classes], before calibration
    """
    weights = logits[columns].astype(np.float64)
    weights /= temperature
    best = int(weights.argmax())
    equal = np.flatnonzero(weights == weights[best])
    if len(equal) > 1:  # the first label, as everywhere, for any order of the options
        best = int(equal[columns[equal].argmin()])
    weights -= weights[best]
    np.exp(weights, out=weights)
    total = float(weights.sum())
    weights /= total
    least = 1 / len(weights)
    confidence = 1.0 if len(weights) == 1 else (1 / total - least) / (1 - least)
    return Shares(
        best,
        round(max(confidence, 0.0), SCORE_DECIMALS),
        weights.round(SCORE_DECIMALS).tolist(),
    )


def all_shares(
    logits: NDArray[np.float32], temperature: float, choices: Mapping[int, Columns]
) -> dict[int, Shares]:
    """Computes the student's probabilities of each question's options, by position."""
    return {at: shares(logits, temperature, columns) for at, columns in choices.items()}
