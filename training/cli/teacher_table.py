"""The table that `understudy teach` prints: a teacher's accuracy next to the baselines."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from training.teacher.answers.folder import TeacherInfo

HEADINGS = {"val": "validation accuracy", "test": "test accuracy"}
# Metrics of an endpoint.
COSTS = (
    "questions",
    "requests",
    "retries",
    "unreadable",
)
TOKENS = ("input_tokens", "output_tokens", "cost")


def show_teacher(info: TeacherInfo, out: Path, test: bool, console: Console) -> None:
    """Prints the validation accuracy of each view, and marks the one that students learn from.

    Args:
        test: also prints test accuracy, which must not guide any choice
    """
    from training.teacher.answers.baselines import BASELINES
    from training.teacher.answers.views import chosen_view, view_names

    splits = ("val", "test") if test else ("val",)
    table = Table("answers", *(HEADINGS[split] for split in splits), title=str(out))
    views = view_names(info.metrics)
    learned = chosen_view(info.metrics)
    rows = {
        f"{view}: students learn from it" if view == learned else view: f"accuracy_{view}"
        for view in views
    }
    for name, key in (rows | {title: name for name, title in BASELINES.items()}).items():
        values = [info.metrics.get(f"{split}_{key}") for split in splits]
        if any(value is not None for value in values):
            table.add_row(name, *("" if value is None else f"{value:.3f}" for value in values))
    console.print(table)
    if "requests" in info.metrics:
        untold = info.metrics["requests"] and not any(map(info.metrics.get, TOKENS))
        shown = [name for name in (*COSTS, *(() if untold else TOKENS)) if name in info.metrics]
        words = [f"{name.replace('_', ' ')}: {info.metrics[name]:g}" for name in shown]
        console.print(
            "; ".join([*words, *(["tokens: the server does not tell"] if untold else [])])
        )
