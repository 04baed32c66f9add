"""The section on cost of docs/results.md, from the existing files."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from benchmarks.common.results import RESULTS
from benchmarks.cost_results.page import PART, sections
from benchmarks.cost_results.pictures import growth_picture, load_picture, save
from benchmarks.errors import BenchmarkError
from benchmarks.load.report import LoadResults
from benchmarks.scale import ScaleResults

MACHINE = {
    "date": "2026-11-26T09:00:00",
    "processor": "a chip",
    "cores": 2,
    "load_average": 0.5,
    "python": "3.12.0",
    "packages": {},
}


def write(folder: Path, name: str, results: Mapping[str, object]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"machine": MACHINE, **results}))


def test_what_was_not_measured_has_no_section(tmp_path: Path) -> None:
    assert sections(tmp_path) == ""
    plan = {"rounds": 3, "seconds": 1, "requests": 10, "changes": 2}
    away = {"name": "Another", "about": "", "missing": "no interpreter has what it needs"}
    graph = "kites: 3 nodes"
    write(tmp_path, "peers", {"graph": graph, "plan": plan, "encoder_ms": 0.1, "rivals": [away]})
    text = sections(tmp_path)
    assert text.startswith("### Beside what a person would serve instead\n\nBundle of kites")
    assert "- Another: no interpreter has what it needs" in text
    assert text.count("### ") == 1
    assert text.endswith(
        "[peers](../benchmarks/results/peers.md): a chip, 2 cores, load average 0.5 when it was "
        "written, 2026-11-26."
    )


def test_what_is_published_stands_apart_from_what_was_measured(tmp_path: Path) -> None:
    latency = json.loads((RESULTS / "latency.json").read_text(encoding="utf-8"))
    write(tmp_path, "latency", latency)
    text = sections(tmp_path)
    assert "| hosted decision models (published, not measured) | 150 to 430 |  |  |" in text
    assert "| MiniLM, stored | 28.393 | 31.108 | 34.529 |" in text


def test_links_of_a_result_are_those_of_the_page(tmp_path: Path) -> None:
    way = {"way": "one", "asked": "stored", "per_second": 9.0, "cores": 1, "source": "http"}
    hosted = {"name": "hosted", "published": True, "dollars": [1.0, 2.0]}
    own = {"machine_hour": 1.0, "machine_cores": 2, "tokens": 300, "hosted": hosted}
    write(tmp_path, "cost", {**own, "ways": [{**way, "dollars": 3.0}]})
    assert "| one | stored | 9.0 | 1 | 3.00 | [http](../benchmarks/results/http.md) |" in sections(
        tmp_path
    )


ALL = {"requests": 10, "p50": 1.0, "p99": 20.0, "in_time": 10, "refused": 0, "failed": 0}
NONE = {**ALL, "p50": None, "p99": None, "in_time": 0, "failed": 10}
LOAD = {
    "graph": "kites: 3 nodes",
    "seconds": 3.0,
    "deadline_ms": 50.0,
    "loads": [
        {"mix": mix, "rate": rate, "goodput_per_second": rate, "server_busy": 0.1}
        | {"client_busy": 0.1, "all": found, "sorts": {"stored": found}}
        for mix, found in (("stored=100", ALL), ("teacher=100", NONE))
        for rate in (10.0, 100.0)
    ],
}
TIMES = {"p50": 1.0, "p99": 3.0, "processor_ms": 0.5, "requests": 20}
GROWTH = {
    "plan": {"starts": 1, "seconds": 1, "requests": 20, "changes": 4},
    "sizes": [
        {"graph": f"synthetic: {nodes} nodes", "nodes": nodes, "edges": 10 * nodes}
        | {"start_seconds": 1.0, "peak_megabytes": 9.0, "anonymous_megabytes": 8.0}
        | {"stored": {"per_second": 9_000.0, "microseconds": 120.0}}
        | {"unseen": TIMES, "changes": TIMES}
        for nodes in (100, 1_000)
    ],
}


def test_pictures_name_what_they_are_of_and_stand_before_their_tables(tmp_path: Path) -> None:
    write(tmp_path, "load", LOAD)
    write(tmp_path, "scale", GROWTH)
    text = sections(tmp_path)
    first = "### Under load\n\n![Under load](../benchmarks/results/load.png)\n\nBundle of kites"
    assert text.startswith(first)
    row = "| teacher=100 | 100 | all | 10 |  |  | 0.0% | 0 | 10 | 100.0 | 10% | 10% |"
    assert row in text  # nobody was answered
    assert "### Growth\n\n![Growth](../benchmarks/results/scale.png)\n\nGrowth over" in text
    load, growth = msgspec.convert(LOAD, LoadResults), msgspec.convert(GROWTH, ScaleResults)
    pictures = (load_picture(load), "kites: 3 nodes"), (growth_picture(growth), "n = 20 unseen")
    for picture, title in pictures:
        (axes,) = picture.axes
        assert title in picture.get_suptitle()
        assert axes.get_xlabel()
        assert axes.get_ylabel() == "milliseconds (log scale)"
        save(picture, tmp_path / "picture.png")
    names = pictures[0][0].axes[0].get_legend_handles_labels()[1]
    assert {"stored=100, p50", "teacher=100, p99", "in time: 50 ms"} <= set(names)


@pytest.mark.parametrize("name", ["load", "scale"])
def test_a_committed_result_has_its_picture_beside_it(name: str) -> None:
    assert (RESULTS / f"{name}.json").is_file() == (RESULTS / f"{name}.png").is_file()


def test_a_page_keeps_what_no_command_wrote(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text(f"# One\n\n{PART.start}\nold\n{PART.end}\n\nThe rest.\n")
    PART.put(page, "new")
    assert page.read_text() == f"# One\n\n{PART.start}\n\nnew\n\n{PART.end}\n\nThe rest.\n"
    assert PART.split(page.read_text(), page.name)[1] == "new"
    page.write_text(f"# One\n\n{PART.start}\n")
    with pytest.raises(BenchmarkError, match=r"results\.md lacks one of the lines"):
        PART.put(page, "newer")
