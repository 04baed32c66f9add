"""Problems of a cluster are reported in one line, before hours of work."""

import socket
import sys
from pathlib import Path

import pytest

from understudy.cluster.errors import ClusterError
from understudy.cluster.joining import Cluster, joined, sized
from understudy.cluster.options import check_cluster
from understudy.cluster.places import load_same_graph
from understudy.graph import save_graph
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'understudy-gnn\[ray\]'"), joined("local"):
        pass


def test_fewer_workers_than_none_are_refused_before_a_cluster_is_started() -> None:
    with pytest.raises(ClusterError, match="workers must be a whole number of at least 0, not -1"):
        check_cluster("local", -1)


def test_a_head_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = "{}:{}".format(*taken.getsockname())
        with pytest.raises(ClusterError, match=f"no Ray cluster answers at {address}"):
            joined(address).__enter__()


def test_a_worker_takes_a_device_where_there_are_some_and_else_a_core() -> None:
    assert sized({"CPU": 8.0}, 0, "auto") == Cluster(8, 0)
    assert sized({"CPU": 8.0, "GPU": 2.0}, 0, "auto") == Cluster(2, 2)
    assert sized({"CPU": 8.0, "GPU": 2.0}, 0, "auto").share == {"CPU": 1, "GPU": 1}
    assert sized({"CPU": 8.0, "GPU": 2.0}, 3, "auto").share == {"CPU": 1}
    with pytest.raises(ClusterError, match="--workers 9: the cluster at 'auto' has 8 cores"):
        sized({"CPU": 8.0}, 9, "auto")
    with pytest.raises(ClusterError, match="has 0 cores"):
        sized({}, 0, "auto")


def test_a_worker_reads_the_graph_that_the_command_reads_or_none(tmp_path: Path) -> None:
    graph = synthetic_graph(SyntheticOptions(nodes=30, classes=3))
    save_graph(graph, tmp_path / "graph")
    assert load_same_graph(tmp_path / "graph", graph.content_hash).num_nodes == 30
    with pytest.raises(ClusterError, match=r"has no folder .*nowhere; every machine"):
        load_same_graph(tmp_path / "nowhere", graph.content_hash)
    with pytest.raises(ClusterError, match="holds a different graph than here"):
        load_same_graph(tmp_path / "graph", "0" * 64)
