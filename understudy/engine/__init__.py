"""Classify and change one graph with one model, in process: no HTTP, no asyncio, no torch."""

from understudy.engine.engine import Engine
from understudy.engine.errors import EngineError, NodeError
from understudy.engine.limits import Limits
from understudy.engine.requests import LabelScore, Node, Prediction
from understudy.engine.state import GraphState
from understudy.engine.updates.tickets import Applied

__all__ = [
    "Applied",
    "Engine",
    "EngineError",
    "GraphState",
    "LabelScore",
    "Limits",
    "Node",
    "NodeError",
    "Prediction",
]
