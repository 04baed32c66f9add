"""An epoch of each student, its evaluation included, against the same done plainly: torch's own
dropout, and the pre-message-passing layer computed for the step and again for the evaluation.

    python -m benchmarks.epoch GRAPH [--rounds 5]
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn import functional as F

from benchmarks.measure import described, markdown_table, run_script, side_by_side, write_results
from training.config import ENCODER_KINDS, LABELS, StudentConfig, StudentKind
from training.data import GraphData, graph_data, whole_graph
from training.encoders.features import EncoderSpec, encoder_spec, graph_features
from training.loop import predict, run_epoch
from training.losses.objectives import CrossEntropy, Term
from training.student.network import Student
from understudy.graph import load_graph

KINDS: tuple[StudentKind, ...] = ("sage", "gcn", "gat", "gin")
OURS, PLAIN = "ours", "plainly"


class PlainStudent(Student):
    """A student with torch's own dropout."""

    def drop(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.config.dropout, self.training)


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    rounds: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measure, print and write results/epoch.json."""
    source = load_graph(graph)
    works: dict[str, Callable[[], object]] = {}
    names = [f"{kind} on {encoder}" for encoder, kind in product(ENCODER_KINDS, KINDS)]
    for encoder in ENCODER_KINDS:
        spec = encoder_spec(encoder)
        data = graph_data(source, graph_features(source, spec))
        for kind in KINDS:
            name = f"{kind} on {encoder}"
            works[f"{name}, {OURS}"] = epoch(Student, kind, spec, data, share=True)
            works[f"{name}, {PLAIN}"] = epoch(PlainStudent, kind, spec, data, share=False)
    seconds = side_by_side(works, rounds, warmup=1)
    ratios = {name: seconds[f"{name}, {PLAIN}"] / seconds[f"{name}, {OURS}"] for name in names}
    rows = [
        [name, *(f"{seconds[f'{name}, {way}']:.3f} s" for way in (OURS, PLAIN)), f"{ratio:.2f}"]
        for name, ratio in ratios.items()
    ]
    width = StudentConfig().hidden
    markdown = f"One epoch, width {width}, {described(source)}:\n\n"
    markdown += markdown_table(["", OURS, PLAIN, "times faster"], rows)
    results = {"graph": described(source), "width": width, "seconds": seconds, "ratios": ratios}
    write_results("epoch", results, markdown)
    typer.echo(markdown)


def epoch(
    maker: type[Student], kind: StudentKind, spec: EncoderSpec, data: GraphData, share: bool
) -> Callable[[], object]:
    """A step on the labels, then the logits of every node; `share` has them read the same h0."""
    torch.manual_seed(0)
    classes, hashed = int(data.labels.max()) + 1, spec.kind == "hashing"
    student = maker(StudentConfig(kind=kind), spec.dimension, classes, hashed)
    optimizer = torch.optim.AdamW(student.parameters(), fused=True)
    batch, terms = whole_graph(data), [Term(LABELS, 1.0, CrossEntropy())]
    embedded: Tensor | None = None

    def work() -> None:
        nonlocal embedded
        run_epoch(student, [batch], terms, optimizer, embedded)
        embedded = student.embed(data.features) if share else None
        predict(student, data, embedded)

    return work


if __name__ == "__main__":
    run_script(main)
