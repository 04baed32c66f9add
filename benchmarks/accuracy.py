"""Distilled against vanilla students by the honest protocol, on several graphs and splits.

    python -m benchmarks.accuracy WORK GRAPH... [--splits 5] [--seeds 2] [--trials 20]

Every graph is evaluated at 60/20/20 and at 20 labels a class, as `understudy evaluate` does; what
WORK holds already is not run again. Writes results/accuracy.json, its Markdown and the plots.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.measure import RESULTS, write_results
from graph.progress import terminal_progress
from graph.prompts import PromptOptions
from training.evaluation.evaluate import evaluate
from training.evaluation.plan import SPLIT_KINDS, EvaluationOptions
from training.teach_command import EPOCHS, LEARNING_RATE
from training.teachers.encoder import EncoderOptions
from training.teachers.teach import TeachOptions
from training.teachers.tuning import TuningOptions
from training.terminal import quiet_libraries


def main(
    work: Annotated[Path, typer.Argument(help="Folder of runs; kept between calls.")],
    graphs: Annotated[list[Path], typer.Argument(help="Graph folders.")],
    splits: Annotated[int, typer.Option(min=1)] = 5,
    seeds: Annotated[int, typer.Option(min=1)] = 2,
    trials: Annotated[int, typer.Option(min=0)] = 20,
    tokens: Annotated[int, typer.Option(min=8, help="Of a teacher's description.")] = 128,
) -> None:
    """Evaluate, print and write results/accuracy.json."""
    quiet_libraries()
    teacher = TeachOptions(
        prompts=PromptOptions(tokens=tokens),
        tuning=TuningOptions(epochs=EPOCHS["encoder"], learning_rate=LEARNING_RATE),
        encoder=EncoderOptions(max_tokens=tokens),
    )
    base = EvaluationOptions(splits=splits, seeds=seeds, trials=trials, teacher=teacher)
    results: dict[str, Any] = {}
    reports = []
    with terminal_progress() as progress:
        for graph in graphs:
            for kind in SPLIT_KINDS:
                name = f"{graph.name}-{kind.replace('/', '-')}"
                report = evaluate(graph, work / name, replace(base, split_kind=kind), progress)
                results[name] = json.loads((work / name / "summary.json").read_text())
                reports.append(adopt(report, name))
    markdown = "\n".join(reports)
    write_results("accuracy", {"evaluations": results}, markdown)
    typer.echo(markdown)


def adopt(report: Path, name: str) -> str:
    """Copies an evaluation's plots beside the results; returns its report with their new paths."""
    folder = RESULTS / "accuracy" / name
    folder.mkdir(parents=True, exist_ok=True)
    text = report.read_text(encoding="utf-8")
    for plot in report.parent.glob("*.png"):
        shutil.copy(plot, folder / plot.name)
        text = text.replace(f"]({plot.name})", f"](accuracy/{name}/{plot.name})")
    return text


if __name__ == "__main__":
    typer.run(main)
