"""The metrics of one process as data, and those of several processes merged into one text.

The multi-process mode of `prometheus_client` is not used: its files are written at every count,
which would slow look-ups down, and they only support its own counters, which ours are not.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import reduce

from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from service.telemetry.metrics import PREFIX, Counter, Histogram, Metrics

Labels = tuple[str, ...]
# Gauges that are also shown per worker: a sum or maximum would hide a lagging one.
BY_WORKER = ("graph_version", "ready", "open_connections")


class Observed(Struct, frozen=True):
    """A histogram for one value of its labels: counts per bucket, and the sum."""

    counts: list[int]
    total: float


class Figures(Struct, frozen=True):
    """What one process counted since its start, and its current gauges.

    Attributes:
        counters, histograms: by name, then by the labels' values.
        gauges: by name.
        process: metrics of the process itself, by the family's name.
    """

    counters: dict[str, dict[Labels, float]] = {}
    histograms: dict[str, dict[Labels, Observed]] = {}
    gauges: dict[str, float] = {}
    process: dict[str, float] = {}


def figures_of(metrics: Metrics) -> Figures:
    counters, histograms = {}, {}
    for kind in metrics.kinds():
        if isinstance(kind, Counter):
            counters[kind.name] = dict(kind.values)
        else:
            histograms[kind.name] = {
                labels: Observed(list(counts), kind.sums[labels])
                for labels, counts in kind.counts.items()
            }
    gauges = {name: float(gauge.read()) for name, gauge in metrics.gauges.items()}
    process = {family.name: family.samples[0].value for family in metrics.process.collect()}
    return Figures(counters, histograms, gauges, process)


def added(first: Figures, second: Figures) -> Figures:
    """Adds counters and histograms of two processes; leaves out gauges."""
    counters = {name: dict(values) for name, values in first.counters.items()}
    for name, values in second.counters.items():
        mine = counters.setdefault(name, {})
        for labels, value in values.items():
            mine[labels] = mine.get(labels, 0) + value
    histograms = {name: dict(values) for name, values in first.histograms.items()}
    for name, observed in second.histograms.items():
        kept = histograms.setdefault(name, {})
        for labels, one in observed.items():
            kept[labels] = both(kept[labels], one) if labels in kept else one
    return Figures(counters, histograms)


def both(first: Observed, second: Observed) -> Observed:
    counts = [a + b for a, b in zip(first.counts, second.counts, strict=True)]
    return Observed(counts, first.total + second.total)


class MergedFigures(Collector):
    """The metrics of several workers, merged to those of one service.

    Args:
        metrics: of any worker, for names, texts and labels.
        workers: metrics of the serving workers, by number.
        ended: counts of workers that have ended, because a counter must not decrease.
        restarts: number of replaced workers.
    """

    def __init__(
        self,
        metrics: Metrics,
        workers: Mapping[int, Figures],
        ended: Figures,
        restarts: int,
    ) -> None:
        self.metrics = metrics
        self.workers = workers
        self.counted = reduce(added, workers.values(), ended)
        self.restarts = restarts

    def describe(self) -> Sequence[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from map(self.family, self.metrics.kinds())
        yield from self.gauges()
        yield from self.processes()
        number = len(self.workers)
        yield GaugeMetricFamily(f"{PREFIX}workers", "Number of processes that serve.", number)
        restarts = CounterMetricFamily(
            f"{PREFIX}worker_restarts", "Workers that were started again."
        )
        restarts.add_metric([], self.restarts)
        yield restarts

    def family(self, kind: Counter | Histogram) -> Metric:
        """Makes a metric with the sums over all workers."""
        total = copy(kind)
        if isinstance(total, Counter):
            total.values = self.counted.counters.get(kind.name, {})
        else:
            observed = self.counted.histograms.get(kind.name, {})
            total.counts = {labels: one.counts for labels, one in observed.items()}
            total.sums = {labels: one.total for labels, one in observed.items()}
        return total.family()

    def gauges(self) -> Iterator[Metric]:
        for name, gauge in self.metrics.gauges.items():
            values = {n: f.gauges[name] for n, f in self.workers.items() if name in f.gauges}
            yield GaugeMetricFamily(name, gauge.text, gauge.over(values.values()))
            plain = name.removeprefix(PREFIX)
            if plain in BY_WORKER:
                family = GaugeMetricFamily(f"{PREFIX}worker_{plain}", gauge.text, labels=["worker"])
                for worker, value in values.items():
                    family.add_metric([str(worker)], value)
                yield family

    def processes(self) -> Iterator[Metric]:
        """Yields one series per worker: a sum would count shared memory several times."""
        for own in self.metrics.process.collect():
            family = Metric(own.name, own.documentation, own.type)
            for worker, figures in self.workers.items():
                if own.name in figures.process:
                    labels = {"worker": str(worker)}
                    family.add_sample(own.samples[0].name, labels, figures.process[own.name])
            yield family

    def render(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
