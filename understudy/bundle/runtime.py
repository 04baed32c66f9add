"""onnxruntime, which reports to nobody here.

Since its release 1.29 it sends facts about the machine and every loaded network to its makers, from
servers, too, and keeps a number of the machine in the cache folder, unless a variable says not to
before it is loaded. Every room imports it from here. Whoever wants to report sets it to 0.
"""

import os

OFF = "ORT_DISABLE_TELEMETRY"

os.environ[OFF] = os.environ.get(OFF) or "1"  # processes that are started inherit it

import onnxruntime  # noqa: E402  it reads the variable when it is loaded

__all__ = ["OFF", "onnxruntime"]
