"""Calls of KServe's Python client, run by an interpreter that has it.

    python kserve_client.py URL MODEL

Prints, as JSON, what the service answered to each kind of request. KServe's pins do not go with
ours, so it lives in an environment of its own; this file needs nothing of this repository.
"""

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import (  # type: ignore[import-not-found]
    InferenceRESTClient,
    InferInput,
    InferRequest,
    RESTConfig,
)

COLUMNS = {"id": ["node-7", ""], "text": ["", "http socket ü"], "neighbors": ["", '["node-1"]']}


def request_of(model: str, columns: dict[str, list[str]], binary: bool, wide: bool) -> Any:
    """The columns as tensors, of shape [N] or [N, 1]."""
    inputs = []
    for name, values in columns.items():
        shape = [len(values), 1] if wide else [len(values)]
        tensor = InferInput(name=name, shape=shape, datatype="BYTES")
        tensor.set_data_from_numpy(
            np.array(values, dtype=np.object_).reshape(shape), binary_data=binary
        )
        inputs.append(tensor)
    return InferRequest(model_name=model, infer_inputs=inputs, request_id="k-1")


def plain_answer(response: Any) -> dict[str, Any]:
    outputs = {output.name: output.as_numpy().tolist() for output in response.outputs}
    labels = [v.decode() if isinstance(v, bytes) else v for v in outputs["label"]]
    return {"id": response.id, "label": labels, "score": outputs["score"]}


async def refusal(client: Any, url: str, model: str, request: Any) -> str:
    try:
        await client.infer(url, request, model_name=model)
    except httpx.HTTPStatusError as error:
        return str(error)
    return ""


async def ask(url: str, model: str) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        answers["live"] = await client.is_server_live(url)
        answers["ready"] = await client.is_server_ready(url)
        answers["model"] = await client.is_model_ready(url, model)
        answers["other"] = await client.is_model_ready(url, "other")
        for binary in (True, False):
            for wide in (True, False):
                request = request_of(model, COLUMNS, binary, wide)
                response = await client.infer(url, request, model_name=model)
                answers[f"binary={binary} wide={wide}"] = plain_answer(response)
        plain = {"inputs": [{"name": "id", "shape": [1], "datatype": "BYTES", "data": ["node-7"]}]}
        answers["plain"] = plain_answer(await client.infer(url, plain, model_name=model))
        nobody = request_of(model, {"id": ["nobody"]}, True, False)
        answers["refusal"] = await refusal(client, url, model, nobody)
        answers["unknown"] = await refusal(client, url, "other", nobody)
    return answers


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(sys.argv[1], sys.argv[2]))))
