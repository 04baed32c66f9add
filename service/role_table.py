"""(method, path) → the role that it needs."""

from collections.abc import Sequence

from starlette.routing import compile_path

from service.gateway import RoleOf
from service.operations import Operation
from service.roles import Role, default_role

# Beside the operations: what Prometheus asks holds no text and no id.
OTHERS = {("GET", "/metrics"): Role.anyone, ("HEAD", "/metrics"): Role.anyone}


def role_table(operations: Sequence[Operation]) -> RoleOf:
    """The roles as the operations declare them; a path of no operation gets the default."""
    exact = {(o.method, o.path): o.role for o in operations if "{" not in o.path} | OTHERS
    exact |= {("HEAD", path): role for (method, path), role in exact.items() if method == "GET"}
    patterns = [(o.method, compile_path(o.path)[0], o.role) for o in operations if "{" in o.path]

    def role_of(method: str, path: str) -> Role:
        role = exact.get((method, path))
        if role is not None:
            return role
        for own, pattern, pattern_role in patterns:
            if own == method and pattern.match(path):
                return pattern_role
        return default_role(method)

    return role_of
