"""Joins a Ray cluster, or starts one on this machine, while a command runs."""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from understudy.cluster.errors import ClusterError
from understudy.graph.errors import first_line
from understudy.plugins import VARIABLE as PLUGINS

LOCAL = "local"  # the address of a cluster on this machine, for this command only
OF_LOCAL = {
    "LOG_NAME_UPDATE_INTERVAL_S": "60",  # seconds between two looks for new logs
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on loopback only
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # this machine is not preemptible
}
VARIABLES = {  # read by Ray when it is imported, or when it starts
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # otherwise it warns of a future change
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # of its own helpers; our errors are raised
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # 60 are few if torch is on a network
}
CARRIED = ("UNDERSTUDY_CACHE", PLUGINS, "HF_HOME", "HF_HUB_OFFLINE")  # variables passed to workers
STARTS = 3  # attempts: Ray gives up after 30 seconds, too few on a busy machine
REACHED = 10.0  # seconds in which a head must accept a connection


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that was joined.

    Args:
        workers: number of concurrent worker processes
        gpus: of the whole cluster
    """

    workers: int
    gpus: int

    @property
    def share(self) -> dict[str, float]:
        """The resources of one worker, in Ray's terms: one GPU each if there are enough."""
        with_gpu = self.gpus >= self.workers
        return {"CPU": 1, "GPU": 1} if with_gpu else {"CPU": 1}

    def share_with_gpu(self, option: str, otherwise: str) -> dict[str, float]:
        """The resources of one worker if a GPU is required.

        Args:
            option: the one that requires it
            otherwise: the one that does not

        Raises:
            ClusterError: there are fewer GPUs than workers.
        """
        if "GPU" not in self.share:
            raise ClusterError(
                f"{option}: the cluster has {self.gpus} GPUs for {self.workers} workers, and each "
                f"worker needs one; choose fewer --workers, or use {otherwise}"
            )
        return self.share


@contextmanager
def joined(address: str, workers: int = 0) -> Iterator[Cluster]:
    """Joins a cluster and leaves it at the end; a local one is started and stopped.

    Args:
        address: local; auto, the one that runs on this machine; or HOST:PORT of another's head
        workers: number of concurrent workers; 0: one per GPU, or per core without GPUs

    Raises:
        ClusterError: Ray is not installed, no cluster answers, or it is too small.
    """
    local = address == LOCAL
    check_reached(address)
    ray = imported_ray({**VARIABLES, **(OF_LOCAL if local else {})})
    carried = {name: os.environ[name] for name in CARRIED if name in os.environ}
    own = {"num_cpus": workers or None, "include_dashboard": False} if local else {}
    start(ray, STARTS if local else 1, address, carried, own)
    try:
        yield sized(ray.cluster_resources(), workers, address)
    finally:
        ray.shutdown()


def start(
    ray: ModuleType, attempts: int, address: str, carried: Mapping[str, str], own: Mapping[str, Any]
) -> None:
    """Calls `ray.init`, repeatedly if a local cluster is not up in time.

    Args:
        own: arguments of a local cluster

    Raises:
        ClusterError: no cluster is up, or can be joined.
    """
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {**VARIABLES, **carried}},
            **own,
        )
    except Exception as error:  # Ray raises no narrower error if a node starts too slowly
        ray.shutdown()
        if attempts > 1:
            start(ray, attempts - 1, address, carried, own)
            return
        raise ClusterError(
            f"the Ray cluster at {address!r} cannot be joined: {first_line(error)}; start one with "
            "`ray start --head`, give HOST:PORT of its head node, or local to start one on this "
            "machine"
        ) from error


def sized(resources: dict[str, float], workers: int, address: str) -> Cluster:
    """The number of workers that a cluster has room for.

    Raises:
        ClusterError: it is smaller than requested.
    """
    cores, gpus = int(resources.get("CPU", 0)), int(resources.get("GPU", 0))
    if max(workers, 1) > cores:
        raise ClusterError(
            f"--workers {workers}: the cluster at {address!r} has {cores} cores, and each worker "
            "needs one; choose fewer workers, or add machines"
        )
    return Cluster(workers or min(gpus, cores) or cores, gpus)


def check_reached(address: str) -> None:
    """Refuses a head that accepts no connection, for which Ray would wait a minute.

    Raises:
        ClusterError: HOST:PORT accepts none.
    """
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return  # a word that Ray knows, or an address that it refuses at once
    try:
        socket.create_connection((host.rpartition("//")[2], int(port)), REACHED).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {first_line(error)}; give HOST:PORT of its head "
            "node, as printed by `ray start --head`, or local to start one on this machine"
        ) from error


def imported_ray(variables: Mapping[str, str]) -> ModuleType:
    """Imports Ray, which reads these variables on import.

    Raises:
        ClusterError: it is not installed.
    """
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            f"--ray needs Ray, which is not installed here ({error}): "
            "pip install 'understudy-gnn[ray]'"
        ) from error
    return ray
