"""The report's plots."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.statistics import Summary
from training.recipe_names import COMBINED, VANILLA
from training.teacher.answers.views import view_names
from training.terminal import quiet_log

with quiet_log("matplotlib"):  # it uses a temporary folder where a home cannot be written
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = Mapping[str, Any]  # the content of a run's file

mpl.use("Agg")
mpl.rcParams.update({"svg.hashsalt": "understudy", "font.size": 9})


def write_plots(
    folder: Path,
    summaries: Sequence[Summary],
    results: Sequence[Result],
    teachers: Sequence[Mapping[str, float]],
) -> None:
    """Writes every plot that the results allow.

    Args:
        teachers: the metrics of each split's teacher
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots: dict[str, Callable[[Axes], bool]] = {
        "accuracy": lambda axes: plot_accuracy(axes, summaries),
        "convergence": lambda axes: plot_convergence(axes, results),
        "reliability": lambda axes: plot_reliability(axes, results),
        "teacher": lambda axes: plot_teacher(axes, teachers),
    }
    for name, draw in plots.items():
        figure = Figure(figsize=(9, 4.5) if name == "accuracy" else (6, 4), layout="constrained")
        if draw(figure.subplots()):
            save(figure, folder / f"{name}.png")
    if (folder / "map.json").is_file():
        save(
            plot_map(json.loads((folder / "map.json").read_text(encoding="utf-8"))),
            folder / "map.png",
        )


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})


def plot_accuracy(axes: Axes, summaries: Sequence[Summary]) -> bool:
    """Test accuracy by recipe, one series per student and encoder."""
    recipes = list(dict.fromkeys(summary.recipe for summary in summaries))
    series = list(dict.fromkeys((s.encoder, s.student) for s in summaries))
    for number, (encoder, student) in enumerate(series):
        by_recipe = {s.recipe: s for s in summaries if (s.encoder, s.student) == (encoder, student)}
        shown = [recipe for recipe in recipes if recipe in by_recipe]
        shift = (number - len(series) / 2) * 0.8 / len(series)
        axes.errorbar(
            [recipes.index(recipe) + shift for recipe in shown],
            [by_recipe[recipe].accuracy for recipe in shown],
            [by_recipe[recipe].deviation for recipe in shown],
            fmt="o",
            markersize=4,
            capsize=2,
            label=f"{student}, {encoder}",
        )
    axes.set_xticks(range(len(recipes)), recipes, rotation=30, ha="right")
    axes.set(ylabel="test accuracy", title="Accuracy by objective (mean and standard deviation)")
    axes.legend(fontsize=7, ncols=2)
    return True


def plot_convergence(axes: Axes, results: Sequence[Result]) -> bool:
    """Mean validation accuracy by epoch; a run that stopped early keeps its last value."""
    curves_of = {
        recipe: [r["validation_curve"] for r in results if r["key"]["recipe"] == recipe]
        for recipe in (VANILLA, COMBINED)
    }
    if not any(curves_of.values()):
        return False
    for recipe, curves in curves_of.items():
        if curves:
            longest = max(map(len, curves))
            filled = [curve + [curve[-1]] * (longest - len(curve)) for curve in curves]
            axes.plot(range(1, longest + 1), np.mean(filled, axis=0), label=recipe)
    axes.set(xlabel="epoch", ylabel="validation accuracy", title="Convergence")
    axes.legend()
    return True


def plot_reliability(axes: Axes, results: Sequence[Result]) -> bool:
    """Accuracy against confidence on test, over all runs of vanilla and of the combination."""
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for recipe, field, style in (
        (VANILLA, "reliability", "o:"),
        (COMBINED, "reliability", "o--"),
        (COMBINED, "reliability_calibrated", "o-"),
    ):
        bins = [b for r in results if r["key"]["recipe"] == recipe for b in r[field]]
        if not bins:
            continue
        place = np.round([b["confidence"] * 15 for b in bins]).astype(int)
        counts = np.bincount(place, [b["count"] for b in bins])
        kept = counts > 0
        sums = [
            np.bincount(place, [b[name] * b["count"] for b in bins])[kept] / counts[kept]
            for name in ("confidence", "accuracy")
        ]
        calibrated = ", calibrated" if field.endswith("calibrated") else ""
        axes.plot(*sums, style, markersize=3, label=f"{recipe}{calibrated}")
    axes.set(xlabel="confidence", ylabel="accuracy", title="Reliability on test")
    if not axes.get_legend_handles_labels()[0]:
        return False
    axes.legend()
    return True


def plot_teacher(axes: Axes, teachers: Sequence[Mapping[str, float]]) -> bool:
    """The teacher's test accuracy per hop, and for all hops together."""
    named = dict.fromkeys(view for metrics in teachers for view in view_names(metrics))
    accuracies = {}
    for view in named:
        key = f"test_accuracy_{view}"
        if measured := [metrics[key] for metrics in teachers if key in metrics]:
            accuracies[view] = measured  # without the splits whose teachers lack the view
    views, values = list(accuracies), list(accuracies.values())
    if not values:
        return False
    axes.bar(views, [np.mean(v) for v in values], yerr=[np.std(v) for v in values], capsize=3)
    low = min(min(v) for v in values)
    axes.set(ylim=(max(low - 0.1, 0), 1), ylabel="test accuracy", title="The teacher, by prompts")
    return True


def plot_map(value: Mapping[str, Any]) -> Figure:
    """Both spaces side by side, coloured by class."""
    spaces = [name for name in ("student", "teacher") if name in value]
    figure = Figure(figsize=(4.5 * len(spaces), 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(spaces), squeeze=False)[0], spaces, strict=True):
        points = np.array(value[name])
        axes.scatter(points[:, 0], points[:, 1], s=5, c=value["labels"], cmap="tab20")
        axes.set(title=f"{name} ({value['run']})" if name == "student" else name)
        axes.set(xticks=[], yticks=[])
    return figure
