"""Ray Serve with the same predictor: one replica, which batches waiting requests.

Ray gives its own processes 15 seconds in all to start, and ends if one takes longer; so it starts
on all cores, and repeats the start if necessary.
"""

import os
import signal
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

from benchmarks.peers.arguments import LOOPBACK, read_arguments
from benchmarks.peers.peer import BATCH
from benchmarks.serving.servers import CLASSIFY

BATCH_SECONDS = 0.001  # that the first request of a batch waits for others
WAITING = 256  # requests that a replica takes at a time
STORE_BYTES = 80 << 20  # Ray's least object store; nothing is put into it
VARIABLES = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",  # as its guide to performance says
    "RAY_raylet_start_wait_time_s": "60",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on loopback alone
}


def main() -> None:
    options = read_arguments()
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
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        ray.init(
            num_cpus=1,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=STORE_BYTES,
            _node_ip_address=LOOPBACK,
            _temp_dir=folder,
        )
        try:
            quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
            serve.start(http_options={"host": LOOPBACK, "port": options.port}, logging_config=quiet)
            application = Classify.bind(str(options.bundle), str(options.student))  # type: ignore[attr-defined, unused-ignore]
            serve.run(application, route_prefix=CLASSIFY, logging_config=quiet)
            ended.wait()
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call, unused-ignore]
            ray.shutdown()


if __name__ == "__main__":
    main()
