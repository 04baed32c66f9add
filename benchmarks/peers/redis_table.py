"""FastAPI with a fixed table of predictions in Redis: no model, no graph, no unseen nodes.

Redis runs on the same core and is asked over a Unix socket; its answers are joined without being
decoded.
"""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import redis
import redis.asyncio
from fastapi import FastAPI, HTTPException, Response

from benchmarks.peers.arguments import read_arguments
from benchmarks.peers.fastapi_pyg import Request, run
from benchmarks.serving.servers import TETHERED, redis_program

TOLD = 1  # labels of each stored prediction, as many as are asked for under load
START_SECONDS = 30
FILL = 1_000  # entries at a time


def main() -> None:
    arguments = read_arguments()
    program = redis_program()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "redis")
        options = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
        command = [*TETHERED, program, *options]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
        try:
            fill(path, arguments.bundle)
            serve(path, arguments.port)
        finally:
            server.terminate()
            server.wait()


def fill(path: str, bundle: Path) -> None:
    """Writes every stored node's prediction to Redis, as JSON, by id."""
    from benchmarks.peers.predictions import predictions
    from understudy.bundle import open_bundle
    from understudy.bundle.student import LOGITS_FILE
    from understudy.graph.snapshot import load_snapshot

    manifest = open_bundle(bundle, verify=False).manifest
    nodes = [{"id": name} for name in load_snapshot(bundle / "graph").ids.to_pylist()]
    found = predictions(np.load(bundle / LOGITS_FILE), nodes, manifest, TOLD)
    client = redis.Redis(unix_socket_path=path)
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            client.ping()
            break
        except redis.ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    for start in range(0, len(found), FILL):
        part = found[start : start + FILL]
        client.mset({answer["id"]: msgspec.json.encode(answer) for answer in part})
    client.close()


def serve(path: str, port: int) -> None:
    app = FastAPI()
    client = redis.asyncio.Redis(unix_socket_path=path)

    @app.post("/classify")
    async def classify(request: Request) -> Response:
        found = await client.mget([node.id or "" for node in request.nodes])
        known = [cast(bytes, answer) for answer in found if answer is not None]
        if len(known) < len(found):
            raise HTTPException(404, "an id is not in the table")
        content = b'{"predictions":[' + b",".join(known) + b"]}"
        return Response(content, media_type="application/json")

    run(app, port)


if __name__ == "__main__":
    main()
