"""Serves `plain` or `echo` of benchmarks.plain_app as the service itself is served."""

import logging
import sys

import uvicorn

from benchmarks.serving import plain_app
from service.server import bind, exit_on_signals, url_of


def main() -> None:
    exit_on_signals()
    with bind("127.0.0.1", 0) as bound:
        config = uvicorn.Config(
            getattr(plain_app, sys.argv[1]),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            log_config=None,
            log_level=logging.WARNING,
            access_log=False,
        )
        print(url_of(bound), flush=True)  # noqa: T201
        uvicorn.Server(config).run([bound])


if __name__ == "__main__":
    main()
