"""The OpenAPI document, from the operations."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from service.http.access import Role
from service.messages import encode
from service.routes.operations import Examples, Operation
from understudy.engine.engine import Engine

TITLE = "Understudy"
DESCRIPTION = """
Classifies the nodes of a text-attributed graph that is held in memory: stored nodes by id, unseen
ones by their text and the stored nodes that they are linked to.

Every answer carries `x-request-id` (yours, if you sent one) and `x-total-time` in milliseconds.
Every answer that is no success has the same body, an `ErrorBody`; below `/v2` it is an
`InferenceErrorBody`, as the Open Inference Protocol wants it.
"""
MEANINGS = {
    400: "The body is not JSON, or the path is badly encoded.",
    401: "No key, or an unknown one.",
    403: "The key's role does not suffice, or a page of another site sends it.",
    404: "What is named is not there.",
    408: "The body did not come in time.",
    409: "It contradicts what is there.",
    413: "The body has too many bytes.",
    415: "The body does not say that it is JSON, or is compressed in an unknown way.",
    421: "The request is for another host.",
    422: "A field is missing, unknown, of a wrong type or beyond a limit; it is named.",
    424: "The teacher failed.",
    429: "Too much at once; see the header `retry-after`.",
    500: "Something went wrong here; the log has it under the request's id.",
    503: "The service cannot answer now; see the header `retry-after`.",
    504: "The answer did not come in time.",
}
ANY_REQUEST = (401, 403, 421, 429, 500)
ANY_PARAMETER = (400,)  # in the path
ANY_BODY = (400, 408, 413, 415, 422)
REFERENCE = "#/components/schemas/{name}"


def document(
    operations: Iterable[Operation], engine: Engine, root_path: str = ""
) -> dict[str, Any]:
    """The whole document; its title, version and examples are about what is served now.

    Args:
        root_path: under which a proxy offers the service.
    """
    operations = list(operations)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{TITLE}: {engine.manifest.name}",
            "description": DESCRIPTION.strip(),
            "version": engine.model_version,
        },
        **({"servers": [{"url": root_path}]} if root_path else {}),
        "paths": path_items(operations),
        "components": {
            "schemas": component_schemas(operations),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def error_responses(kind: type[Struct], statuses: Iterable[int]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}}
    return {str(s): {"description": MEANINGS[s], "content": content} for s in sorted(set(statuses))}


def component_schemas(operations: Iterable[Operation]) -> dict[str, Any]:
    """JSON schemas of everything that goes over the wire in msgspec's structs."""
    kinds = {kind for o in operations for kind in (o.request, o.response, o.errors) if kind}
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
    return {name: uniform_arrays(schema) for name, schema in schemas.items()}


def uniform_arrays(schema: Any) -> Any:
    """Arrays of a fixed length as generators of clients can read them.

    A pair of integers is said as `prefixItems` and `items: false`, which few of them know.
    """
    if isinstance(schema, list):
        return [uniform_arrays(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {name: uniform_arrays(value) for name, value in schema.items()}
    if result.get("items") is False and "prefixItems" in result:
        kinds = result.pop("prefixItems")
        same = all(kind == kinds[0] for kind in kinds)
        result["items"] = kinds[0] if same else {"anyOf": kinds}
    return result


def path_items(operations: Iterable[Operation]) -> dict[str, dict[str, Any]]:
    items: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = re.sub(r":\w+}", "}", operation.path)
        items.setdefault(path, {})[operation.method.lower()] = describe(operation)
    return items


def describe(operation: Operation) -> dict[str, Any]:
    """One operation, with examples from what is served."""
    examples = operation.examples()
    statuses = {*operation.statuses, 500}
    if operation.role is not Role.anyone:
        statuses |= set(ANY_REQUEST)
    if "{" in operation.path:
        statuses |= set(ANY_PARAMETER)
    if operation.request is not None:
        statuses |= set(ANY_BODY)
    success = json_content(operation.response, examples.response)
    responses = {
        str(operation.success): {"description": "Success.", "content": success},
        **error_responses(operation.errors, statuses),
    }
    result: dict[str, Any] = {
        "summary": operation.summary,
        "description": operation.description.strip(),
        "operationId": operation.name,
        "tags": [operation.tag],
        "responses": responses,
    }
    if operation.request is not None:
        content = json_content(operation.request, examples.request)
        result["requestBody"] = {"required": True, "content": content}
    if parameters := [*path_parameters(operation, examples), *header_parameters(operation)]:
        result["parameters"] = parameters
    if operation.role is not Role.anyone:
        result["security"] = [{"key": []}, {}]
        result["description"] += f"\n\nNeeds a key of the role `{operation.role.name}`, if any."
    return result


def path_parameters(operation: Operation, examples: Examples) -> list[dict[str, Any]]:
    values: Mapping[str, str] = examples.parameters or {}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
            **({"example": values[name]} if name in values else {}),
        }
        for name in re.findall(r"{(\w+)(?::\w+)?}", operation.path)
    ]


def header_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in (operation.headers or {}).items()
    ]


def json_content(kind: type[Struct], example: Struct | None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REFERENCE.format(name=kind.__name__)}}
    if example is not None:
        content["example"] = msgspec.json.decode(encode(example))
    return {"application/json": content}
