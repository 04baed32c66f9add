"""Ray Serve in front of the same: one replica, and requests that wait are answered together.

Ray's own processes get the ports of its agents when they start: it ends where one of these has not
written down its port within 15 seconds, and here all of them start at once on a core or two.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.peers.given import LOOPBACK, free_ports, given
from benchmarks.peers.peer import BATCH
from benchmarks.servers import CLASSIFY

BATCH_SECONDS = 0.001  # that the first request of a batch waits for others
WAITING = 256  # requests that a replica takes at a time
STORE_BYTES = 80 << 20  # Ray's least object store; nothing is put into it
AGENTS = ("dashboard-agent-grpc", "dashboard-agent-listen", "metrics-export", "runtime-env-agent")
STARTED = "Ray runtime started"
STOP_SECONDS = 10
VARIABLES = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # as its guide to performance says
    "RAY_raylet_start_wait_time_s": "200",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on loopback alone
}


def main() -> None:
    told = given()
    os.environ.update(VARIABLES)
    import ray  # type: ignore[import-not-found, unused-ignore]
    from ray import serve
    from ray.serve.schema import LoggingConfig  # type: ignore[import-not-found, unused-ignore]
    from starlette.requests import Request

    @serve.deployment(num_replicas=1, max_ongoing_requests=WAITING)  # type: ignore[untyped-decorator, unused-ignore]
    class Classify:
        def __init__(self, bundle: str, student: str) -> None:
            from pathlib import Path

            from benchmarks.peers.predictor import Predictor

            self.predictor = Predictor(Path(bundle), Path(student))

        @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=BATCH_SECONDS)  # type: ignore[untyped-decorator, unused-ignore]
        async def together(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
            top_k = max(request.get("top_k", 1) for request in requests)
            answers = self.predictor.answer_all([request["nodes"] for request in requests], top_k)
            return [{"predictions": answer} for answer in answers]

        async def __call__(self, request: Request) -> Any:
            return await self.together(await request.json())

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    # A socket's path must be short; Ray's processes may write there a little longer than this one.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        head(folder) as address,
    ):
        ray.init(address=address, _node_ip_address=LOOPBACK)
        quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
        serve.start(http_options={"host": LOOPBACK, "port": told.port}, logging_config=quiet)
        application = Classify.bind(str(told.bundle), str(told.student))  # type: ignore[attr-defined, unused-ignore]
        serve.run(application, route_prefix=CLASSIFY, logging_config=quiet)
        ended.wait()


@contextmanager
def head(folder: str) -> Iterator[str]:
    """A cluster of this machine alone, on the loopback interface; gives its address.

    Raises:
        BenchmarkError: it does not start; it has said why.
    """
    port, *ports = free_ports(1 + len(AGENTS))
    options = {
        "node-ip-address": LOOPBACK,
        "port": port,
        "temp-dir": folder,
        "num-cpus": 1,
        "object-store-memory": STORE_BYTES,
        "include-dashboard": "false",
        **{f"{agent}-port": own for agent, own in zip(AGENTS, ports, strict=True)},
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not any(STARTED in line for line in process.stdout):
            raise BenchmarkError("Ray's head ended while it started")
        yield f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
