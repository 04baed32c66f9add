"""Asks Triton, which has another protocol than the service's `POST /classify`."""

from collections.abc import Sequence

import msgspec

from benchmarks.peers.peer import NodeBody, Scores, our_body, our_scores

TRITON_MODEL = "student"
TRITON_PATH = f"/v2/models/{TRITON_MODEL}/infer"


def triton_body(nodes: Sequence[NodeBody], top_k: int) -> bytes:
    """A request of the Open Inference Protocol that carries ours as a text."""
    text = our_body(nodes, top_k).decode()
    tensor = {"name": "request", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
    return msgspec.json.encode({"inputs": [tensor]})


def triton_scores(content: bytes) -> list[Scores]:
    (output,) = msgspec.json.decode(content)["outputs"]
    return our_scores(output["data"][0].encode())
