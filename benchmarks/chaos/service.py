"""Runs `understudy serve` with frequent snapshots, so that a short run includes many of them.

python -m benchmarks.chaos.service BUNDLE --port 8001 --data-folder FOLDER
"""

import sys

from understudy.cli import main
from understudy.engine import engine, maintenance

SNAPSHOT_RECORDS = 150  # instead of 10,000
BUSY_SECONDS = 2.0  # instead of 30, since changes never pause


def serve() -> None:
    engine.RECORDS_KEPT = SNAPSHOT_RECORDS
    maintenance.BUSY_SECONDS = BUSY_SECONDS
    sys.argv[1:1] = ["serve"]
    main()


if __name__ == "__main__":
    serve()
