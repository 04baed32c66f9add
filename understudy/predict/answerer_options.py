"""The options that say how a bundle or a service answers."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from understudy.cluster.options import Ray, Workers, check_cluster
from understudy.predict.answering import Answerer, open_bundle, open_on_cluster, open_service
from understudy.predict.errors import OptionError
from understudy.predict.options import PredictOptions
from understudy.progress import Progress


@dataclass(frozen=True, slots=True)
class AnswererFlags:
    """How a service is asked, or what runs a bundle."""

    key: Annotated[
        str | None,
        typer.Option(envvar="UNDERSTUDY_KEY", help="API key of the service, if it requires one."),
    ] = None
    timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds that one request to a service may take.")
    ] = 120.0
    threads: Annotated[
        int, typer.Option(min=0, help="Number of threads that run a bundle; 0: one per core.")
    ] = 0
    provider: Annotated[str, typer.Option(help="Device that runs a bundle: cpu or cuda.")] = "cpu"
    ray: Ray = ""
    workers: Workers = 0


def check_answerer(options: PredictOptions, flags: AnswererFlags) -> None:
    """Refuses options that contradict each other, or that workers of a cluster do not use.

    Raises:
        ClusterError: see `check_cluster`.
        OptionError: with a cluster, the source is a service, or a number of threads is given.
    """
    check_cluster(flags.ray, flags.workers)
    if flags.ray and options.is_service:
        raise OptionError("--ray needs a bundle's folder: a service has workers of its own")
    if flags.ray and flags.threads:
        raise OptionError(
            "--threads has no effect with --ray, since a worker has one core; leave it out"
        )


def open_answerer(
    options: PredictOptions, flags: AnswererFlags, progress: Progress
) -> AbstractContextManager[Answerer]:
    """Opens the source; raises as the functions of `understudy.predict.answering` do."""
    if options.is_service:
        return open_service(options.source, flags.key, flags.timeout, options.route)
    folder = Path(options.source)
    if flags.ray:
        return open_on_cluster(folder, flags.ray, flags.workers, flags.provider, progress)
    threads = flags.threads or len(os.sched_getaffinity(0))
    return open_bundle(folder, threads, flags.provider, progress)
