"""When nodes that cannot be answered make their whole request one that cannot."""

from collections.abc import Sequence

from service.errors import NoNodeError
from service.messages import Prediction


def refuse_if_none_answered(predictions: Sequence[Prediction]) -> None:
    """Makes the first node's error the request's, where every node has one.

    Raises:
        NoNodeError: the first node's error.
    """
    first = predictions[0].error
    if first is not None and all(prediction.error is not None for prediction in predictions):
        raise NoNodeError(first.code, first.message, first.details)


def refuse_if_any_failed(predictions: Sequence[Prediction]) -> None:
    """Makes a node's error the request's, for wires that have no error of one.

    Raises:
        NoNodeError: the first bad node's error.
    """
    for prediction in predictions:
        if (error := prediction.error) is not None:
            message = f"node {prediction.index}: {error.message}"
            raise NoNodeError(error.code, message, error.details)
