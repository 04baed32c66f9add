"""onnxruntime without its telemetry; every room imports it from here.

Since release 1.29 it sends facts about the machine and every loaded network to its makers, on
servers, too, and keeps an identifier of the machine in the cache folder, unless a variable that is
set before it is loaded turns that off. Setting the variable to 0 turns it on.
"""

import os

OFF = "ORT_DISABLE_TELEMETRY"

os.environ[OFF] = os.environ.get(OFF) or "1"  # child processes inherit it

import onnxruntime  # noqa: E402  reads the variable when it is loaded

__all__ = ["OFF", "onnxruntime"]
