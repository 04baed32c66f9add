"""A small typed client of the service: `Client` and `AsyncClient`. Needs httpx alone."""

from client.asynchronous import AsyncClient
from client.errors import (
    ClientError,
    InvalidRequestError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from client.models import (
    Change,
    Classification,
    Comparison,
    LabelScore,
    Node,
    Prediction,
    StoredNode,
)
from client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Change",
    "Classification",
    "Client",
    "ClientError",
    "Comparison",
    "InvalidRequestError",
    "LabelScore",
    "Node",
    "Prediction",
    "RefusedError",
    "StoredNode",
    "UnavailableError",
    "UnexpectedAnswerError",
]
