"""What classifying one unseen node costs with either text encoder, side by side.

    python -m benchmarks.unseen_node HASHING_BUNDLE MINILM_BUNDLE

Both bundles are of one graph. The engine answers in process, on one thread, one node at a time.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure import markdown_table, side_by_side, write_results
from service.engine import Engine
from service.messages import Node

# Of a few, some and many words; linked to two packages each.
TEXTS = {
    "short": "a fast JSON parser",
    "medium": "a fast JSON parser\nIt reads large documents from streams without loading them "
    "whole, checks them against a schema, and has bindings for several languages.",
    "long": "a fast JSON parser\n"
    + " ".join(
        f"Part {number} reads documents from a stream, checks every field against a schema, and "
        "hands the values on without a copy."
        for number in range(1, 13)
    ),
}
NEIGHBORS = ("libc6", "libstdc++6")
ROUNDS = 100


def main(
    hashing: Annotated[Path, typer.Argument(help="Bundle with the hashing encoder.")],
    minilm: Annotated[Path, typer.Argument(help="Bundle with the MiniLM encoder.")],
) -> None:
    """Measure, print and write results/unseen_node.json."""
    engines = {"hashing": Engine.open(hashing), "minilm": Engine.open(minilm)}
    rows = []
    results = []
    for name, text in TEXTS.items():
        node = Node(text=text, neighbors=NEIGHBORS)
        works = {
            encoder: lambda engine=engine, node=node: engine.classify([node])
            for encoder, engine in engines.items()
        }
        seconds = side_by_side(works, ROUNDS)
        ratio = seconds["minilm"] / seconds["hashing"]
        milliseconds = {encoder: 1000 * value for encoder, value in seconds.items()}
        results.append({"text": name, "characters": len(text), "ratio": ratio} | milliseconds)
        rows.append(
            [name, len(text), *(f"{value:.2f}" for value in milliseconds.values()), f"{ratio:.1f}"]
        )
    header = ["text", "characters", "hashing, ms", "MiniLM, ms", "MiniLM / hashing"]
    table = "Classifying one unseen node in process, one thread, median of 100:\n\n"
    table += markdown_table(header, rows)
    write_results("unseen_node", {"milliseconds": results}, table)
    typer.echo(table)


if __name__ == "__main__":
    typer.run(main)
