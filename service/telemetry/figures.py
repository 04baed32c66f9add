"""The metrics of one process as data, and those of several processes merged into one text.

Not `prometheus_client`'s mode for several processes: its files are written at every count, which
would make a look-up dearer, and they hold its own counters, which ours are not.
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
# Of these, each worker's own value is shown, too: a sum or the largest would hide one that lags.
BY_WORKER = ("graph_version", "ready", "open_connections")


class Observed(Struct, frozen=True):
    """A histogram for one value of its labels: how many a bucket, and their sum."""

    counts: list[int]
    total: float


class Figures(Struct, frozen=True):
    """What one process counted and timed since its start, and reads at this moment.

    Attributes:
        counters, histograms: by name, then by the labels' values.
        gauges: by name.
        process: of the process itself, by the family's name.
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
    """What two processes counted and timed, as if one had; nothing that is read at a moment."""
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
    """The figures of several workers as those of one service.

    Args:
        metrics: of any one of them, for names, texts and labels.
        workers: those that serve, by their number.
        ended: what others had counted that serve no more: a count never goes back.
        restarts: how many were started in place of one that ended.
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
        yield GaugeMetricFamily(f"{PREFIX}workers", "Processes that serve.", number)
        restarts = CounterMetricFamily(f"{PREFIX}worker_restarts", "Workers started anew.")
        restarts.add_metric([], self.restarts)
        yield restarts

    def family(self, kind: Counter | Histogram) -> Metric:
        """A kind with the values of all."""
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
        """A series a worker: memory that they share would be counted several times in a sum."""
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
