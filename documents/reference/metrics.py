"""Every metric of the service: its counters and histograms, and the gauges that its parts add."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import service
from documents.reference.pages import Page, code
from service.telemetry.metrics import PREFIX, Counter, Histogram, Metrics

INTRODUCTION = (
    "`GET /metrics` gives them to Prometheus, without a key. Times are in seconds. Counters start "
    "at 0 with the process and appear once they have counted something; a histogram has `_bucket`, "
    "`_sum` and `_count`. The metrics of the process itself (`process_…`) are there, too."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric's name, without the suffixes of a histogram, and its description."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def metrics_page() -> Page:
    page = Page("Metrics")
    page.add(INTRODUCTION)
    page.table(
        ("metric", "kind", "labels", "meaning"),
        (
            (code(f.name), f.kind, ", ".join(map(code, f.labels)), page.words(f.name, f.text))
            for f in sorted(figures(), key=lambda figure: figure.name)
        ),
    )
    return page


def figures() -> Iterator[Figure]:
    for value in vars(Metrics()).values():
        if isinstance(value, Counter):
            yield Figure(f"{value.name}_total", "counter", tuple(value.labels), value.text)
        elif isinstance(value, Histogram):
            yield Figure(value.name, "histogram", tuple(value.labels), value.text)
    for path in sorted(Path(service.__path__[0]).rglob("*.py")):
        yield from gauges(ast.parse(path.read_text(encoding="utf-8")))


def gauges(tree: ast.Module) -> Iterator[Figure]:
    """Finds the gauges in the code, since each is registered beside the object that it reads."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        arguments = [entry.value for entry in node.args[:2] if isinstance(entry, ast.Constant)]
        if node.func.attr == "gauge" and len(arguments) == 2:
            yield Figure(PREFIX + str(arguments[0]), "gauge", (), str(arguments[1]))
