"""Serving a bundle: `Engine` answers in process, `service.app` over HTTP. Never loads torch."""

from understudy.engine.engine import Engine
from service.errors import NodeError, ServiceError
from understudy.engine.limits import Limits
from service.messages import ErrorDetail, LabelScore, Node, Prediction
from understudy.engine.state import GraphState
from understudy.engine.updates.tickets import Applied

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
