"""(method, path) → the role that it needs."""

from collections.abc import Sequence

from starlette.routing import compile_path

from service.http.access import Role, default_role
from service.http.gateway import RoleOf
from service.routes.operations import Operation

# Beside the operations: what Prometheus asks holds no text and no id.
METRICS = {"/metrics": {"GET": Role.anyone}}


def role_table(operations: Sequence[Operation]) -> RoleOf:
    """The roles as the operations declare them.

    A path beside an operation's, or another method of it, needs any key at all: nothing is there,
    and the answer says so. A path that is like none gets the default.
    """
    roles: dict[str, dict[str, Role]] = {**METRICS}
    for operation in operations:
        roles.setdefault(operation.path, {})[operation.method] = operation.role
    roles = {path: with_head(own) for path, own in roles.items()}
    exact = {
        (method, path): role
        for path, own in roles.items()
        if "{" not in path
        for method, role in own.items()
    }
    patterns = [(compile_path(path)[0], own) for path, own in roles.items() if "{" in path]
    beginnings = {beginning(path) for path in roles}

    def role_of(method: str, path: str) -> Role:
        role = exact.get((method, path))
        if role is not None:
            return role
        for pattern, own in patterns:  # the first one that matches answers, as in the router
            if pattern.match(path):
                return own.get(method, Role.read)
        return Role.read if beginning(path) in beginnings else default_role(method)

    return role_of


def with_head(roles: dict[str, Role]) -> dict[str, Role]:
    return roles | {"HEAD": roles["GET"]} if "GET" in roles else roles


def beginning(path: str) -> str:
    """The first part of a path."""
    return path.lstrip("/").partition("/")[0]
