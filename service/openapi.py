"""The OpenAPI document of the routes that FastAPI does not see."""

from typing import Any

import msgspec

from service.engine import Engine
from service.messages import ClassifyRequest, ClassifyResponse, ErrorBody, Node, encode
from service.statuses import STATUS_OF

DESCRIPTION = """
Classifies the nodes of a text-attributed graph that is held in memory: stored nodes by id, unseen
ones by their text and the stored nodes that they are linked to.

Every answer carries `x-request-id` (yours, if you sent one) and `x-total-time` in milliseconds.
Every answer that is no success has the same body, an `ErrorBody`.
"""

CLASSIFY_DESCRIPTION = """
A node is either `{"id"}`, a stored one, or `{"text", "neighbors"}`, an unseen one. Messages flow
from the stored neighbors into the unseen node and not back; nothing is stored.

A node that cannot be answered has its `error` set while the others are answered, and the status is
200. If none can be answered, the status is the first one's, with the error body.

Headers: `x-encode-time` and `x-inference-time`, the milliseconds that unseen nodes took.
"""

MEANINGS = {
    400: "The body is not JSON.",
    404: "A stored node or a neighbor is unknown.",
    413: "The body has too many bytes.",
    422: "A field is missing, unknown, of a wrong type or beyond a limit; it is named.",
    500: "Something went wrong here; the log has it under the request's id.",
    503: "The service cannot answer now.",
}


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    return {status: {"description": MEANINGS[status], "content": content} for status in statuses}


def component_schemas() -> dict[str, Any]:
    """JSON schemas of everything that goes over the wire in msgspec's structs."""
    _, schemas = msgspec.json.schema_components(
        [ClassifyRequest, ClassifyResponse, ErrorBody],
        ref_template="#/components/schemas/{name}",
    )
    return schemas


def example_request(engine: Engine) -> ClassifyRequest:
    """A request about nodes that are there."""
    first = str(engine.state.graph.ids[0].as_py())
    unseen = Node(text="a fast JSON parser", neighbors=(first,))
    return ClassifyRequest(nodes=(Node(id=first), unseen), top_k=3)


def classify_path(engine: Engine) -> dict[str, Any]:
    """The path item of /classify, its examples taken from the graph that is served."""
    request = example_request(engine)
    response = ClassifyResponse(
        engine.manifest.name,
        engine.model_version,
        engine.state.version,
        tuple(engine.classify(request.nodes, request.top_k)),
    )
    statuses = sorted({*STATUS_OF.values()})
    responses: dict[str, Any] = {
        str(status): answer for status, answer in error_responses(*statuses).items()
    }
    responses["200"] = {
        "description": "One prediction for each node, in the order of the request.",
        "content": json_content("ClassifyResponse", response),
    }
    operation = {
        "summary": "Classify nodes",
        "description": CLASSIFY_DESCRIPTION.strip(),
        "operationId": "classify",
        "tags": ["classification"],
        "requestBody": {"required": True, "content": json_content("ClassifyRequest", request)},
        "responses": dict(sorted(responses.items())),
    }
    return {"post": operation}


def json_content(schema: str, example: msgspec.Struct) -> dict[str, Any]:
    return {
        "application/json": {
            "schema": {"$ref": f"#/components/schemas/{schema}"},
            "example": msgspec.json.decode(encode(example)),
        }
    }
