"""Times the classification of one unseen node, with hashed text and with MiniLM.

    python -m benchmarks.unseen_node GRAPH HASHING_BUNDLE MINILM_BUNDLE [MINILM_BUNDLE]

The bundles are of that graph; MiniLM's may differ in their encoder's precision. The engine answers
in process, on one thread, one node at a time. The texts are of stored nodes, chosen by length, with
those nodes' own neighbours, and a short one that nobody stored.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.common.timing import side_by_side
from service.messages import Node
from understudy.bundle import open_bundle
from understudy.engine.engine import Engine
from understudy.graph import TextGraph, load_graph

INVENTED = "a fast JSON parser"
NEIGHBORS = 2  # of the invented node
QUANTILES = (0.1, 0.5, 0.9)  # of the texts' lengths
ROUNDS, REPEATS = 20, 10


def main(
    folder: Annotated[Path, typer.Argument(metavar="GRAPH", help="Graph folder.")],
    hashing: Annotated[Path, typer.Argument(help="Bundle with the hashing encoder.")],
    minilm: Annotated[list[Path], typer.Argument(help="Bundles with the MiniLM encoder.")],
) -> None:
    """Measure, print and write results/unseen_node.json."""
    engines = {"hashing": Engine.open(hashing)}
    for bundle in minilm:
        precision = open_bundle(bundle, verify=False).manifest.encoder.precision
        engines[f"MiniLM {precision}"] = Engine.open(bundle)
    graph = load_graph(folder)
    rows = []
    results = []
    for name, node in questions(graph).items():
        works = {
            encoder: lambda engine=engine, node=node: engine.classify([node])
            for encoder, engine in engines.items()
        }
        seconds = side_by_side(works, ROUNDS, repeats=REPEATS)
        characters = len(node.text or "")
        ratios = {e: value / seconds["hashing"] for e, value in seconds.items() if e != "hashing"}
        milliseconds = {encoder: 1000 * value for encoder, value in seconds.items()}
        results.append(
            {"text": name, "characters": characters, "ms": milliseconds, "ratios": ratios}
        )
        cells = [f"{milliseconds['hashing']:.2f}"]
        for encoder, ratio in ratios.items():
            cells += [f"{milliseconds[encoder]:.2f}", f"{ratio:.1f}"]
        rows.append([name, characters, *cells])
    header = ["text", "characters", "hashing, ms"]
    for encoder in list(engines)[1:]:
        header += [f"{encoder}, ms", "times hashing"]
    table = (
        f"Classifying one unseen node of {graph.name} in process, one thread, "
        f"median of {ROUNDS * REPEATS}:\n\n"
    )
    table += markdown_table(header, rows)
    publish_results("unseen_node", {"graph": graph.name, "texts": results}, table)


def questions(graph: TextGraph) -> dict[str, Node]:
    """Makes unseen nodes, by a description of each."""
    first = graph.adjacency.neighbors(0)[:NEIGHBORS].tolist()
    found = {"invented": Node(text=INVENTED, neighbors=named(graph, first))}
    lengths = np.array([len(text) for text in graph.texts.to_pylist()])
    order = np.argsort(lengths, kind="stable")
    for quantile in QUANTILES:
        node = int(order[int(quantile * (len(order) - 1))])
        neighbors = graph.adjacency.neighbors(node).tolist()
        text = graph.texts[node].as_py()
        found[f"{quantile:.0%} are shorter"] = Node(text=text, neighbors=named(graph, neighbors))
    return found


def named(graph: TextGraph, nodes: list[int]) -> tuple[str, ...]:
    return tuple(graph.ids[node].as_py() for node in nodes)


if __name__ == "__main__":
    run_script(main)
