"""Writes the summary as JSON and the report as Markdown, from an evaluation's runs.parquet."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.plots import write_plots
from training.evaluation.rows import RUNS_FILE, Row, read_rows
from training.evaluation.statistics import chosen, summarize
from training.evaluation.tables import (
    ENCODERS,
    LABELS,
    against_alone,
    described,
    details_table,
    language_differences,
    percent,
    sections,
    table,
    title,
    unseen_table,
    way_of,
)
from training.teacher.answers.views import chosen_view, view_names
from understudy.graph.files import atomic_file, write_json

# Metrics of a teacher's views.
MEASURED = ("val_accuracy", "test_accuracy", "test_calibration_error")
REPORT_FILE = "report.md"

Result = Mapping[str, Any]  # the content of a run's file


def write_report(out: Path, results: Sequence[Result] = ()) -> Path:
    """Writes summary.json and report.md from runs.parquet; returns the report's path.

    Args:
        results: of the runs, for drawing the plots; without any, existing plots stay

    Raises:
        EvaluationError: see `read_rows`.
    """
    record = read_rows(out / RUNS_FILE)
    facts, rows = record.facts, [*record.rows, *chosen(record.rows)]
    summaries = summarize(rows)
    write_json(out / "summary.json", {**facts, "summaries": [asdict(s) for s in summaries]})
    teachers = facts["teachers"]
    if results:
        write_plots(out, summaries, results, teachers)
    plots = sorted(path.name for path in out.glob("*.png"))
    parts = [
        f"# {facts['graph']}: distilled against vanilla students",
        introduction(facts),
        teacher_section(teachers),
        *(["## Test accuracy", *tables] if (tables := sections(record.rows)) else []),
        unseen_section(rows),
        *details_sections(rows),
        "## Other figures",
        other_figures(rows),
        *(f"![{name.removesuffix('.png')}]({name})" for name in plots),
    ]
    path = out / REPORT_FILE
    with atomic_file(path) as temporary:
        temporary.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def introduction(facts: Mapping[str, Any]) -> str:
    options = facts["options"]
    searched = (
        f"Hyperparameters: {options['trials']} trials a recipe on the first split's validation "
        "nodes, vanilla included."
        if options["trials"]
        else f"Hyperparameters: the defaults for every recipe, vanilla included, "
        f"{options['layers']} layers of width {options['hidden']}."
    )
    withheld = (
        f"Of the test nodes {options['withheld']:.0%} were taken out of the graph before any "
        "teaching or training, and classified by the exported bundle. "
        if options["withheld"]
        else ""
    )
    return (
        f"{facts['nodes']:,} nodes, {facts['edges']:,} edges, {facts['classes']} classes; "
        f"{LABELS[options['split_kind']]}; splits: {options['splits']}, initialisations of each: "
        f"{options['seeds']}, averaged first. {withheld}Epochs, temperatures and the teacher's "
        f"view are chosen on validation; the test split is read once a run, and calibration "
        f"errors are those before a temperature. {searched} A "
        "difference stands with its 95% interval, and is **bold** where it survives Holm's "
        "correction for all differences of its table at 5%; how the variance of a mean over "
        "splits is taken is in docs/concepts/method.md. *What validation chooses* is no run of its "
        "own: it takes, a split and initialisation at a time, whichever of the vanilla and the "
        "distilled runs is best on validation, as `understudy distill --compare` does."
    )


def teacher_section(metrics: Sequence[Mapping[str, float]]) -> str:
    """The accuracy of the teachers' views; one mapping per split."""
    if not metrics:
        return ""
    views = dict.fromkeys(view for split in metrics for view in view_names(split))
    rows = {}  # title → the metrics of each split, with the view that is read of them
    for view in views:
        if splits := [(split, view) for split in metrics if measured(split, view)]:
            rows[view] = splits
    if len(views) > 1:
        rows["chosen on validation"] = [(split, chosen_view(split)) for split in metrics]
    lines = [
        "## Teacher",
        "",
        "| prompts | validation accuracy | test accuracy | calibration error |",
        "|---|---|---|---|",
    ]
    for name, splits in rows.items():
        cells = [spread([split[f"{kind}_{view}"] for split, view in splits]) for kind in MEASURED]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def measured(metrics: Mapping[str, float], view: str) -> bool:
    return all(f"{kind}_{view}" in metrics for kind in MEASURED)


def spread(values: Sequence[float]) -> str:
    deviation = f" ± {100 * np.std(values, ddof=1):.2f}" if len(values) > 1 else ""
    return f"{100 * np.mean(values):.2f}{deviation}"


def unseen_section(rows: Sequence[Row]) -> str:
    text = unseen_table(rows, [])
    return f"## Unseen nodes\n\n{text}" if text else ""


def details_sections(rows: Sequence[Row]) -> list[str]:
    """Tables of all differences with their p-values."""
    tables = {
        f"against labels alone, {name}": against_alone(rows, encoder)
        for encoder, name in ENCODERS.items()
    }
    tables["what a language model adds"] = language_differences(rows)
    return [
        f"## Tests: {name}\n\n{details_table(differences)}"
        for name, differences in tables.items()
        if differences
    ]


def other_figures(rows: Sequence[Row]) -> str:
    lines = [
        [
            *described(way_of(s)),
            title(s.recipe, s.teacher),
            f"{percent(s.accuracy)} ± {percent(s.deviation)}",
            percent(s.validation_accuracy),
            percent(s.macro_f1),
            percent(s.calibration_error),
            f"{s.convergence_epoch:.1f}",
        ]
        for s in summarize(rows)
    ]
    header = ["student", "features", "taught by", "test", "validation", "macro-F1"]
    return table([*header, "calibration error", "epochs to 99%"], lines)
