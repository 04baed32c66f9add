"""A small typed client of the service: `Client` and `AsyncClient`. Needs httpx alone."""

from understudy.client.asynchronous import AsyncClient
from understudy.client.attempts import Retries
from understudy.client.errors import (
    ClientError,
    InvalidRequestError,
    RefusedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from understudy.client.models import (
    Change,
    Classification,
    Comparison,
    Cost,
    Explanation,
    FoundNode,
    Influence,
    LabelScore,
    ListedNode,
    Node,
    NodePage,
    Prediction,
    RequestLimits,
    Route,
    SimilarNode,
    StoredNode,
)
from understudy.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Change",
    "Classification",
    "Client",
    "ClientError",
    "Comparison",
    "Cost",
    "Explanation",
    "FoundNode",
    "Influence",
    "InvalidRequestError",
    "LabelScore",
    "ListedNode",
    "Node",
    "NodePage",
    "Prediction",
    "RefusedError",
    "RequestLimits",
    "Retries",
    "Route",
    "SimilarNode",
    "StoredNode",
    "UnavailableError",
    "UnexpectedAnswerError",
]
