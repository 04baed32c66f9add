"""Loads a server with wrk in a closed loop, from another core than the server's."""

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.serving.servers import CLIENT_CORE, Served

CONNECTIONS = 16
LUA = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local bodies = {{ {bodies} }}
local next = 0
request = function()
    next = next % #bodies + 1
    return wrk.format(nil, "{path}", nil, bodies[next])
end
"""


@dataclass(frozen=True, slots=True)
class LoadRun:
    """The result of a closed loop of some connections."""

    per_second: float  # requests
    microseconds: float  # of the server's processor, a request


def wrk(
    server: Served,
    bodies: Sequence[bytes],
    seconds: int,
    connections: int,
    path: str,
    cores: str = CLIENT_CORE,
) -> LoadRun:
    """Loads a server.

    Args:
        cores: that the load comes from.

    Raises:
        BenchmarkError: an answer was no success, or wrk failed.
    """
    before = server.processor_seconds
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        quoted = ", ".join(f"[==[{body.decode()}]==]" for body in bodies)
        script.write_text(LUA.format(bodies=quoted, path=path))
        command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{connections}"]
        options = [f"-d{seconds}s", "-s", str(script), server.url]
        result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if result.returncode or "Non-2xx" in result.stdout:
        raise BenchmarkError(f"wrk says: {result.stdout} {result.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)
    count = re.search(r"(\d+) requests in", result.stdout)
    assert rate is not None
    assert count is not None
    used = server.processor_seconds - before
    return LoadRun(float(rate[1]), 1e6 * used / max(int(count[1]), 1))
