"""Serving a bundle: `Engine` answers in process, `service.app` over HTTP. Never loads torch."""

from service.engine import Engine
from service.errors import NodeError, ServiceError
from service.limits import Limits
from service.messages import ErrorDetail, LabelScore, Node, Prediction
from service.state import GraphState
from service.tickets import Applied

__all__ = [
    "Applied",
    "Engine",
    "ErrorDetail",
    "GraphState",
    "LabelScore",
    "Limits",
    "Node",
    "NodeError",
    "Prediction",
    "ServiceError",
]
