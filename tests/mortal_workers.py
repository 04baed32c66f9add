"""A plugin for workers of a cluster: the last one dies after its second epoch, on demand."""

import os
import signal

from training.cluster.workers import Workers
from training.loop import Run
from understudy.graph.files import cache_folder

EPOCH = 2
DEATHS = "deaths"  # a folder in the cache, with a file for each death to come
keep = Workers.keep


def keep_and_die(self: Workers, run: Run) -> None:
    keep(self, run)
    if self.rank == self.size - 1 and len(run.epochs) >= EPOCH:
        for death in (cache_folder() / DEATHS).glob("*"):
            death.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


Workers.keep = keep_and_die  # type: ignore[method-assign]
