"""When nodes that cannot be answered make their whole request one that cannot."""

from collections.abc import Sequence

from service.errors import NoNodeError
from service.messages import Prediction


def refuse_if_any_failed(predictions: Sequence[Prediction]) -> None:
    """Makes a node's error the request's, for wires that have no error of one.

    Raises:
        NoNodeError: the first bad node's error.
    """
    for prediction in predictions:
        if (error := prediction.error) is not None:
            message = f"node {prediction.index}: {error.message}"
            raise NoNodeError(error.code, message, error.details)
