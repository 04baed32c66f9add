"""The summary as JSON and as Markdown, and the runs that it is of as CSV."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.plan import EvaluationOptions
from training.evaluation.plots import write_plots
from training.evaluation.statistics import Result, Summary, chosen, compare, grouped, summarize
from training.recipes import COMBINED, HARD, RANDOM, SELF, UNLABELED_CONTROLS, VANILLA
from training.teacher.answers.views import chosen_view, view_names
from understudy.graph import TextGraph
from understudy.graph.files import atomic_file, write_json

TOLD = (COMBINED, "unlabeled", "lingugkd")  # the first of these that was run is summed up in words
RUN_COLUMNS = ("encoder", "student", "recipe", "split", "seed")
RUN_METRICS = (
    "val_accuracy",
    "test_accuracy",
    "test_macro_f1",
    "test_calibration_error",
    "epochs",
    "convergence_epoch",
)
HEADER = (
    "| recipe | test accuracy | macro-F1 | calibration error | epochs to 99% | gain, points "
    "| d | Wilcoxon p | t-test p |\n|---|---|---|---|---|---|---|---|---|"
)


def write_report(
    out: Path,
    graph: TextGraph,
    options: EvaluationOptions,
    results: Sequence[Result],
    teachers: Sequence[Mapping[str, Any]],
) -> Path:
    """Writes runs.csv, summary.json, the plots and report.md; returns the report's path."""
    write_runs(out / "runs.csv", results)
    summaries = summarize([*results, *chosen(results)])
    write_json(
        out / "summary.json",
        {
            "graph": graph.name,
            "graph_hash": graph.content_hash,
            "nodes": graph.num_nodes,
            "classes": graph.num_classes,
            "options": options.fingerprint | {"splits": options.splits, "seeds": options.seeds},
            "teachers": [teacher["metrics"] for teacher in teachers],
            "summaries": [asdict(summary) for summary in summaries],
        },
    )
    plots = write_plots(out, summaries, results, teachers)
    parts = [
        f"# {graph.name}: distilled against vanilla students",
        introduction(graph, options),
        teacher_section(teachers),
        *student_sections(summaries),
        self_section(results),
        verdict(summaries),
        *(f"![{name.removesuffix('.png')}]({name})" for name in plots),
    ]
    path = out / "report.md"
    with atomic_file(path) as temporary:
        temporary.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def write_runs(path: Path, results: Sequence[Result]) -> None:
    """A line a run, so that every test of the report can be taken again."""
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow([*RUN_COLUMNS, *RUN_METRICS])
        for result in results:
            figures = [round(result["metrics"][name], 6) for name in RUN_METRICS]
            lines.writerow([*(result["key"][name] for name in RUN_COLUMNS), *figures])


def introduction(graph: TextGraph, options: EvaluationOptions) -> str:
    searched = (
        f"Hyperparameters: {options.trials} trials a recipe on the first split's validation nodes, "
        "vanilla included."
        if options.trials
        else f"Hyperparameters: the defaults for every recipe, vanilla included, {options.layers} "
        f"layers of width {options.hidden}."
    )
    return (
        f"{graph.num_nodes:,} nodes, {graph.num_classes} classes; split {options.split_kind}; "
        f"{options.splits} splits with a teacher of its own each, {options.seeds} initialisations "
        "each. Epochs, temperatures and the teacher's view are chosen on validation; the test "
        f"split is read once a run. {searched} {taught(options)} Gains are paired by split and "
        "initialisation; the runs of one split share a teacher and a test set, so p-values flatter "
        "small numbers of splits. The recipe `chosen` is no run of its own: it takes, a split and "
        "initialisation at a time, whichever of the vanilla and the distilled runs is best on "
        "validation, as `understudy distill --compare` does."
    )


def taught(options: EvaluationOptions) -> str:
    teacher = options.teacher
    way = "a head fitted to its untuned features" if teacher.encoder.frozen else "tuned"
    way += " in bfloat16" if teacher.encoder.bf16 else ""
    labels = "with" if teacher.prompts.show_labels else "without"
    return f"Teacher: {teacher.teacher}, {way}, prompts {labels} neighbours' training labels."


def teacher_section(teachers: Sequence[Mapping[str, Any]]) -> str:
    if not teachers:
        return ""
    metrics = [teacher["metrics"] for teacher in teachers]
    views = {view: [view] * len(metrics) for view in view_names(metrics[0])}
    if len(views) > 1:
        views["chosen on validation"] = [chosen_view(values) for values in metrics]
    lines = [
        "## Teacher",
        "",
        "| prompts | validation accuracy | test accuracy | calibration error |",
        "|---|---|---|---|",
    ]
    for title, own in views.items():
        cells = [
            spread([values[f"{name}_{view}"] for values, view in zip(metrics, own, strict=True)])
            for name in ("val_accuracy", "test_accuracy", "test_calibration_error")
        ]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    deviation = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{deviation}"


def student_sections(summaries: Sequence[Summary]) -> list[str]:
    sections = []
    for encoder, student in dict.fromkeys((s.encoder, s.student) for s in summaries):
        own = [s for s in summaries if (s.encoder, s.student) == (encoder, student)]
        rows = [row(summary) for summary in own]
        sections.append("\n".join([f"## {student} on {encoder} features", "", HEADER, *rows]))
    return sections


def self_section(results: Sequence[Result]) -> str:
    """Students of the teacher against students of themselves: what the language model adds."""
    groups = grouped(results)
    rows = []
    for (encoder, student, recipe), own in groups.items():
        if recipe != SELF or (taught := groups.get((encoder, student, "unlabeled"))) is None:
            continue
        gain, effect, wilcoxon, t_test = compare(taught, own)
        tests = f"{effect:+.2f} | {wilcoxon:.3g} | {t_test:.3g}"
        rows.append(f"| {student} on {encoder} | {100 * gain:+.2f} | {tests} |")
    if not rows:
        return ""
    header = "| student | `unlabeled` above `self-teacher`, points | d | Wilcoxon p | t-test p |"
    return "\n".join(
        ["## What the language model adds", "", header, "|---|---|---|---|---|", *rows]
    )


def row(s: Summary) -> str:
    cells = [
        s.recipe,
        f"{100 * s.accuracy:.2f} ± {100 * s.deviation:.2f}",
        f"{100 * s.macro_f1:.2f}",
        f"{100 * s.calibration_error:.2f}",
        f"{s.convergence_epoch:.1f}",
    ]
    if s.recipe == VANILLA:
        cells += [""] * 4
    else:
        tests = (f"{s.effect:+.2f}", f"{s.wilcoxon_p:.3g}", f"{s.t_test_p:.3g}")
        cells += [f"{100 * s.gain:+.2f}", *tests]
    return f"| {' | '.join(cells)} |"


def verdict(summaries: Sequence[Summary]) -> str:
    """What the numbers say, controls beside the real teacher."""
    named = {(s.encoder, s.student, s.recipe): s for s in summaries}
    lines = ["## What it says", ""]
    for encoder, student in dict.fromkeys((s.encoder, s.student) for s in summaries):
        real = next((s for recipe in TOLD if (s := named.get((encoder, student, recipe)))), None)
        if real is None:
            continue
        significant = real.gain > 0 and real.wilcoxon_p < 0.01
        text = f"{student} on {encoder}: {100 * real.gain:+.2f} points from "
        text += "the combination" if real.recipe == COMBINED else real.recipe
        text += ", significant at p < 0.01" if significant else ", not significant at p < 0.01"
        controls = [
            f"{100 * control.gain:+.2f} {name}"
            for name in (RANDOM, HARD, *UNLABELED_CONTROLS)
            if (control := named.get((encoder, student, name))) is not None
        ]
        lines.append(f"- {text}{'; ' + ', '.join(controls) if controls else ''}.")
    return "\n".join(lines) if len(lines) > 2 else ""
