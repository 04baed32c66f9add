"""A bundle's model card: contents, origin and quality on one page.

The page in the bundle holds nothing that differs between two exports of the same student, since the
bundle's version is a digest of all its files; `understudy bundle show` adds the rest.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from understudy.bundle.errors import BundleDamagedError
from understudy.bundle.manifest import Manifest
from understudy.bundle.reader import Bundle

CARD_FILE = "MODEL_CARD.md"
RECIPE_FILE = "recipe.json"
SPLITS = ("train", "val", "test")
LABELS_SHOWN = 50
PLAIN_LABEL = re.compile(r"[^\W_]+(?:[ _'./-][^\W_]+)*")  # what Markdown shows as it is
NOT_RECORDED = "Not recorded: the bundle was made by an older release."

Facts = dict[str, Any]


def write_card(folder: Path, manifest: Manifest, recipe: Facts) -> None:
    """Writes the card, and the recipe that it is made from, into a bundle that is being written.

    Args:
        recipe: JSON with `graph` (including its splits and source), `student`, `training`, `terms`,
            `objectives`, and `teacher`, which may be null.
    """
    text = json.dumps(recipe, indent=2, ensure_ascii=False) + "\n"
    (folder / RECIPE_FILE).write_text(text, encoding="utf-8")
    (folder / CARD_FILE).write_text(page(facts_of(manifest, recipe)), encoding="utf-8")


def read_recipe(bundle: Bundle) -> Facts:
    """Reads how the bundle's student was trained; empty if the bundle does not hold it.

    Raises:
        BundleDamagedError: the recipe cannot be read.
    """
    if not bundle.holds(RECIPE_FILE):
        return {}
    path = bundle.path(RECIPE_FILE)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleDamagedError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise BundleDamagedError(f"{path} must hold a JSON object")
    return value


def facts_of(manifest: Manifest, recipe: Facts) -> Facts:
    """Makes the card's content as JSON, without facts that only the finished bundle has."""
    built = msgspec.to_builtins(manifest)
    metrics, others = by_split(built["metrics"])
    if not built["graph"]["texts"]:  # empty means unknown, not none
        del built["graph"]["texts"]
    if not built["graph"]["neighbors"]:
        del built["graph"]["neighbors"]
    return {
        "name": built["name"],
        "labels": list(built["label_names"]),
        "graph": {**built["graph"], **recipe.get("graph", {})},
        "student": {**recipe.get("student", {}), **built["student"]},
        "encoder": built["encoder"],
        "teacher": {**(built.get("teacher") or {}), **(recipe.get("teacher") or {})} or None,
        "recipe": {
            key: recipe[key] for key in ("terms", "training", "objectives") if key in recipe
        },
        "metrics": metrics,
        "training_figures": others,
        "calibration": built["calibration"],
        "variants": built["variants"],
    }


def full_facts(bundle: Bundle) -> Facts:
    """Makes all facts about a finished bundle, as JSON."""
    built = msgspec.to_builtins(bundle.manifest)
    return {
        **facts_of(bundle.manifest, read_recipe(bundle)),
        "version": bundle.manifest.version,
        **{key: built[key] for key in ("created", "made_by", "schema_version", "parity", "files")},
        "bytes": sum(entry["bytes"] for entry in built["files"].values()),
    }


def by_split(metrics: Mapping[str, float]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Groups metrics by the split that their names start with; returns the others separately."""
    grouped: dict[str, dict[str, float]] = {}
    others = {}
    for name, value in metrics.items():
        split, _, metric = name.partition("_")
        if split in SPLITS and metric:
            grouped.setdefault(split, {})[metric] = value
        else:
            others[name] = value
    return grouped, others


def page(facts: Facts) -> str:
    """Renders the card as Markdown."""
    return "\n".join(lines_of(facts)) + "\n"


def lines_of(facts: Facts) -> Iterator[str]:
    yield f"# {facts['name']}"
    graph, labels = facts["graph"], facts["labels"]
    yield ""
    yield (
        f"A graph network that assigns one of {len(labels)} labels to the nodes of the graph "
        f"{graph['name']!r}, and to new nodes with a text and neighbours in this graph. It knows "
        "no other labels, and is not made for nodes whose texts are of another kind."
    )
    if "version" in facts:
        about = ("version", "created", "made_by", "schema_version", "bytes")
        yield from section("Bundle", {key: facts[key] for key in about})
    yield from section("Graph", graph)
    yield from (
        "",
        "## Labels",
        "",
        ", ".join(map(label_words, labels[:LABELS_SHOWN])) + and_more(labels),
    )
    yield from section("Student", facts["student"])
    yield from section("Text encoder", facts["encoder"])
    recorded = bool(facts["recipe"])
    yield from section("Teacher", facts["teacher"], "None." if recorded else NOT_RECORDED)
    yield from section("Recipe", facts["recipe"], NOT_RECORDED)
    yield from accuracy_table(facts["metrics"])
    yield from section("Training", facts["training_figures"])
    yield from section("Calibration and deferral", facts["calibration"])
    yield from section("Other precisions", facts["variants"], "None.")
    if "files" in facts:
        yield from section("Parity with torch, largest differences", facts["parity"])
        yield from file_table(facts["files"])
    else:
        yield from ("", "Sizes and SHA-256 of all files are in manifest.json.")


def label_words(label: str) -> str:
    """A label as Markdown: as code if it holds a comma, or a character that Markdown may read."""
    if PLAIN_LABEL.fullmatch(label):
        return label
    fence = "`" * (1 + max(map(len, re.findall("`+", label)), default=0))
    return f"{fence} {label} {fence}" if "`" in label else f"`{label}`"


def and_more(labels: Sequence[str]) -> str:
    more = len(labels) - LABELS_SHOWN
    return f" and {more:,} more" if more > 0 else ""


def section(title: str, values: Mapping[str, Any] | None, nothing: str = "") -> Iterator[str]:
    """Yields a heading and a table of names and values, or `nothing` if there are no values."""
    if not values and not nothing:
        return
    yield from ("", f"## {title}", "")
    if not values:
        yield nothing
        return
    yield from ("| | |", "|---|---|")
    for name, value in flat(values):
        yield f"| {escaped(name)} | {escaped(shown(value))} |"


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every value with its name; nested names are joined by dots."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def shown(value: Any) -> str:
    """Formats a value for a table."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        nested = any(isinstance(entry, list | tuple) for entry in value)
        return f"{len(value)} points" if nested else ", ".join(map(shown, value)) or "none"
    return str(value)


def escaped(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def accuracy_table(metrics: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yields a table with one row per metric and one column per split."""
    splits = [split for split in SPLITS if split in metrics]
    if not splits:
        return
    names = dict.fromkeys(name for split in splits for name in metrics[split])
    yield from (
        "",
        "## Accuracy",
        "",
        f"| | {' | '.join(splits)} |",
        "|---|" + "---|" * len(splits),
    )
    for name in names:
        cells = (metrics[split].get(name) for split in splits)
        yield f"| {name} | {' | '.join('' if cell is None else shown(cell) for cell in cells)} |"


def file_table(files: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from ("", "## Files", "", "| file | bytes | SHA-256 |", "|---|---:|---|")
    for name, entry in sorted(files.items()):
        yield f"| {escaped(name)} | {entry['bytes']:,} | {entry['sha256']} |"
