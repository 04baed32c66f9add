"""Measures the test accuracy of students without a teacher, over several seeds and splits.

    python -m benchmarks.plain_student GRAPH [--seeds 5] [--trials 30] [--splits 10]

Every network, on the graph's own split: with the default settings, with a textbook's, and with
those that a search chose on validation. On random 60/20/20 splits: with the defaults. Every epoch
is chosen by validation accuracy; the test split is read once a run. All are reported, whatever
they give, and so is which of them validation would have chosen.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from training.config import EncoderKind
from training.data import graph_data
from training.encoders.features import encoder_spec, graph_features
from training.evaluation.plan import Choice, EvaluationOptions, RunKey
from training.evaluation.run import TrainingInputs, best_choice, run, train_recipe
from training.evaluation.splits import split_graph
from training.recipe_names import VANILLA
from understudy.graph import TextGraph, check_split, load_graph
from understudy.progress import terminal_progress

OPTIONS = EvaluationOptions()
NETWORKS = OPTIONS.students
DEFAULT = Choice()
# The customary ones of small citation graphs (GCN, arXiv 1609.02907, section 5.2).
TEXTBOOK = Choice(learning_rate=1e-2, weight_decay=5e-4, input_dropout=0.5, bare=True)
SEARCH_SEEDS = (100, 101, 102)  # of a trial; none of them is reported
COLUMNS = ("val_accuracy", "test_accuracy", "test_macro_f1")


@dataclass(frozen=True, slots=True)
class SettingResult:
    """Accuracies of one network with one setting."""

    split: str  # own or random
    network: str
    setting: str  # in words
    choice: Choice
    runs: list[dict[str, float]]  # by the names of COLUMNS


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    encoder: Annotated[EncoderKind, typer.Option()] = "minilm",
    seeds: Annotated[int, typer.Option(min=2)] = 5,
    trials: Annotated[int, typer.Option(min=1, help="Of a network's search.")] = 30,
    splits: Annotated[int, typer.Option(min=2, help="Random ones.")] = 10,
) -> None:
    """Train, print and write results/plain_student.json."""
    source = load_graph(graph)
    check_split(source)
    spec = encoder_spec(encoder)
    inputs = TrainingInputs(
        graph_data(source, graph_features(source, spec)), spec, source.label_names
    )
    results: list[SettingResult] = []

    def add(split: str, network: str, setting: str, choice: Choice) -> None:
        count = seeds if split == "own" else splits
        parts = [inputs] * count if split == "own" else drawn(source, inputs, count)
        runs = [figures(network, part, choice, seed) for seed, part in enumerate(parts)]
        results.append(SettingResult(split, network, setting, choice, runs))
        typer.echo(f"{split} split, {network}, {setting}: test {spread(runs, 'test_accuracy')}")

    with terminal_progress() as progress:
        for number, network in enumerate(NETWORKS):
            progress("Plain students", number, len(NETWORKS))
            add("own", network, "default", DEFAULT)
            add("own", network, "textbook", TEXTBOOK)
            best = searched(network, inputs, trials)
            add("own", network, f"best of {trials} on validation", best)
            add("random", network, "default", DEFAULT)
        progress("Plain students", len(NETWORKS), len(NETWORKS))
    results.sort(key=lambda part: part.split)
    students = [asdict(part) for part in results]
    table = report(source.name, encoder, results)
    publish_results(
        "plain_student", {"graph": source.name, "encoder": encoder, "students": students}, table
    )


def searched(network: str, inputs: TrainingInputs, trials: int) -> Choice:
    """Searches for the setting with the highest mean validation accuracy; reads no test labels."""

    def value(choice: Choice) -> float:
        curves = [
            train_recipe(plain(network, inputs, seed), inputs, OPTIONS, choice)[1]
            for seed in SEARCH_SEEDS
        ]
        return statistics.mean(c.epochs[c.best_epoch].val_accuracy for c in curves)

    return best_choice(value, VANILLA, trials, DEFAULT)


def drawn(source: TextGraph, inputs: TrainingInputs, count: int) -> list[TrainingInputs]:
    """Draws random 60/20/20 splits of the same data."""
    graphs = (split_graph(source, "60/20/20", seed) for seed in range(count))
    features = inputs.data.features
    return [replace(inputs, data=graph_data(graph, features)) for graph in graphs]


def plain(network: str, inputs: TrainingInputs, seed: int) -> RunKey:
    return RunKey(0, seed, inputs.spec.kind, network, VANILLA)


def figures(network: str, inputs: TrainingInputs, choice: Choice, seed: int) -> dict[str, float]:
    """One trained student's figures, by the names of COLUMNS."""
    metrics = run(plain(network, inputs, seed), inputs, OPTIONS, choice)["metrics"]
    return {column: metrics[column] for column in COLUMNS}


def report(name: str, encoder: str, results: Sequence[SettingResult]) -> str:
    header = ["split", "network", "settings", "runs", "validation", "test", "test macro-F1"]
    rows = [
        [part.split, part.network, part.setting, len(part.runs)]
        + [spread(part.runs, column) for column in COLUMNS]
        for part in results
    ]
    own = [part for part in results if part.split == "own"]
    best = max(own, key=lambda part: mean(part.runs, "val_accuracy"))
    return (
        f"Plain students with {encoder} on {name}, accuracy, mean ± deviation; the random splits "
        f"are 60/20/20, one run each:\n\n{markdown_table(header, rows)}\n"
        f"On its own split, validation chooses {best.network} with the settings "
        f"'{best.setting}': test accuracy {mean(best.runs, 'test_accuracy'):.4f}.\n"
    )


def mean(runs: Sequence[dict[str, float]], column: str) -> float:
    return statistics.mean(run[column] for run in runs)


def spread(runs: Sequence[dict[str, float]], column: str) -> str:
    return f"{mean(runs, column):.4f} ± {statistics.stdev(run[column] for run in runs):.4f}"


if __name__ == "__main__":
    run_script(main)
