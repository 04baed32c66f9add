"""Serving a bundle: `Engine` answers in process, `service.app` over HTTP. Never loads torch."""

from service.errors import NodeError, ServiceError
from service.messages import ErrorDetail, LabelScore, Node, Prediction
from understudy.engine.engine import Engine
from understudy.engine.limits import Limits
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
