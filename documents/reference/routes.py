"""Every route of the service, from its OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from fastapi.openapi.utils import get_openapi

from documents.reference.pages import Page, code
from service.app import ROUTES

INTRODUCTION = (
    "The contents of a running service's `/openapi.json` without its examples; `/docs` shows it in "
    "a browser. [The HTTP interface](http.md) says how the routes are used and lists their errors. "
    "If the service has keys, a route needs one with the role named here, see "
    "[who may ask](../guides/operations.md#who-may-ask)."
)
SCHEMAS = "#/components/schemas/"
METHODS = ("get", "put", "post", "delete", "head")


def routes_page() -> Page:
    page = Page("Routes")
    page.add(INTRODUCTION)
    found = list(operations())
    page.table(
        ("route", "does", "role"),
        (
            (code(name), page.words(name, operation.get("summary")), role(operation))
            for name, operation in found
        ),
    )
    for name, operation in found:
        page.add(f"## {name}", operation.get("description") or f"{operation.get('summary')}.")
        page.table(
            ("parameter", "in", "meaning"),
            (
                (code(p["name"]), p["in"], page.words(f"{name} {p['name']}", p.get("description")))
                for p in operation.get("parameters", ())
            ),
        )
        facts = [f"Body: {code(kind)}." for kind in [body(operation)] if kind]
        facts += [f"Answers: {', '.join(map(code, operation['responses']))}."]
        page.add(" ".join(facts))
    return page


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields each operation with its method and path."""
    document = get_openapi(title="Understudy", version="", routes=ROUTES)
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield f"{method.upper()} {path}", methods[method]


def role(operation: dict[str, Any]) -> str:
    security = operation.get("security", ())
    scopes = [scope for entry in security for names in entry.values() for scope in names]
    return ", ".join(sorted(set(scopes))) or "none"


def body(operation: dict[str, Any]) -> str:
    """The name of the request body's type."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        return str(content["schema"].get("$ref", "")).removeprefix(SCHEMAS)
    return ""
