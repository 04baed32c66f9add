"""The metrics of several processes merged into those of one service."""

import msgspec

from service.telemetry.figures import Figures, MergedFigures, added, figures_of
from service.telemetry.metrics import Metrics


def counting(requests: int, version: int) -> Metrics:
    metrics = Metrics()
    metrics.requests.add("classify", "200", amount=requests)
    metrics.request_seconds.observe(0.003 * requests, "classify")
    metrics.gauge("queue_nodes", "Waiting.", lambda: requests)
    metrics.gauge("graph_version", "Changes.", lambda: version, max)
    metrics.gauge("ready", "Ready.", lambda: version - 6, min)
    return metrics


def values(text: bytes) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def test_counts_are_added_and_gauges_as_they_mean() -> None:
    one, two, dead = (figures_of(m) for m in (counting(2, 7), counting(5, 6), counting(1, 99)))
    merged = values(MergedFigures(Metrics(), {1: one, 2: two}, dead, 3).render())
    assert "understudy_queue_nodes" not in merged  # of metrics that do not know it
    merged = values(MergedFigures(counting(0, 0), {1: one, 2: two}, dead, 3).render())
    assert merged['understudy_requests_total{operation="classify",status="200"}'] == 8
    bucket = 'understudy_request_seconds_bucket{le="%s",operation="classify"}'
    assert [merged[bucket % bound] for bound in ("0.0025", "0.005", "0.01", "0.025")] == [
        0,
        1,
        2,
        3,
    ]
    assert merged["understudy_queue_nodes"] == 7  # not the dead one's
    assert merged["understudy_graph_version"] == 7
    assert merged["understudy_ready"] == 0
    assert merged['understudy_worker_graph_version{worker="2"}'] == 6
    assert merged["understudy_workers"] == 2
    assert merged["understudy_worker_restarts_total"] == 3


def test_figures_come_through_a_message_as_they_were() -> None:
    figures = figures_of(counting(3, 7))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(figures), type=Figures) == figures
    assert added(figures, Figures()) == Figures(figures.counters, figures.histograms)
