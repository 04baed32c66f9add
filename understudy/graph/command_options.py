"""Options shared by several `data` commands, and their conversion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from understudy.graph.building.builder import MISSING_TEXT, UNSEEN_LABELS, Rules
from understudy.graph.building.labels import NEGATIVE_LABELS
from understudy.graph.building.split_names import SPLIT_BY
from understudy.graph.errors import BadInputError
from understudy.graph.splits import are_shares

Out = Annotated[Path, typer.Argument(help="Graph folder to write.")]
Seed = Annotated[
    int, typer.Option(min=0, help="Random seed of the split, and of generated or sampled nodes.")
]
Fractions = Annotated[str, typer.Option(help="Shares of train, val and test in a random split.")]
Name = Annotated[str, typer.Option(help="Name of the graph; by default OUT's.")]
SkipUnknown = Annotated[
    bool, typer.Option("--skip-unknown", help="Drop edges to unknown nodes instead of stopping.")
]
MissingText = Annotated[
    str,
    typer.Option(
        help="What to do with a node without text: fail, skip (leave the node out), or id (use its "
        "id as text)."
    ),
]
UnseenLabels = Annotated[
    str,
    typer.Option(
        help="What to do with a label that no train node has: fail, or drop (remove the label)."
    ),
]
NegativeLabels = Annotated[
    str,
    typer.Option(
        help="How to read negative numbers as labels: none (no label), class (a class of its own), "
        "or auto (no label if there are other labels; -1 and 1 alone are two classes)."
    ),
]
Splits = Annotated[
    Path | None,
    typer.Option(help="JSON file of named splits, each with the lists train, val and test."),
]
SplitName = Annotated[str | None, typer.Option(help="Name of the split in --splits to use.")]
SplitBy = Annotated[
    str,
    typer.Option(
        help="How the lists in --splits name nodes: id, position (counted from 0), or auto."
    ),
]
IdField = Annotated[str, typer.Option(help="Column with the node's id.")]
TextField = Annotated[
    list[str] | None,
    typer.Option(help="Column with the text; may be given several times, the texts are joined."),
]
Delimiter = Annotated[
    str, typer.Option(help="Column delimiter of .csv and .tsv files; by default it is detected.")
]
HasHeader = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line names the columns; if not, they are called 1, 2, …",
    ),
]


def optional_field(name: str | None) -> str:
    """The column that an option names: None means search; empty or none means do not read."""
    return "" if name is None else name or "none"


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Parses three shares that sum to 1, for example "0.6,0.2,0.2".

    Raises:
        BadInputError: it is something else.
    """
    try:
        train, val, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError:
        raise BadInputError(
            f"--fractions must be three numbers such as 0.6,0.2,0.2, not {text!r}"
        ) from None
    if not are_shares((train, val, test)):
        raise BadInputError(f"--fractions must be shares that sum to 1, not {text!r}")
    return train, val, test


def parse_rules(
    skip_unknown: SkipUnknown = False,
    missing_text: MissingText = "fail",
    unseen_labels: UnseenLabels = "fail",
    negative_labels: NegativeLabels = "auto",
    fractions: Fractions = "0.6,0.2,0.2",
    seed: Seed = 0,
) -> Rules:
    """The rules that the options request.

    Raises:
        BadInputError: an option has an invalid value.
    """
    check_word("--missing-text", missing_text, MISSING_TEXT)
    check_word("--unseen-labels", unseen_labels, UNSEEN_LABELS)
    check_word("--negative-labels", negative_labels, NEGATIVE_LABELS)
    shares = parse_fractions(fractions)
    return Rules(skip_unknown, missing_text, unseen_labels, shares, seed, negative_labels)


def check_split_options(
    splits: Path | None, name: str | None, by: str, field: str | None, edges: bool, ends: str
) -> None:
    """Refuses options of `data import` that would have no effect.

    Args:
        edges: whether there is an edge file, or a graph file may be one.
        ends: the option for the ends of its edges, empty if not given.

    Raises:
        BadInputError: names them, and what reads them.
    """
    check_word("--split-by", by, SPLIT_BY)
    if splits is None and (name is not None or by != "auto"):
        raise BadInputError("--split-name and --split-by need --splits")
    if splits is not None and field not in (None, "", "none"):
        raise BadInputError(
            "--splits replaces the split of the node file; leave --splits or --split-field out"
        )
    if ends and not edges:
        raise BadInputError(
            "--source-field and --target-field need an edge file; give it with --edges"
        )


def check_line_options(files: Sequence[Path], delimiter: str, header: bool | None) -> None:
    """Refuses options for lines if no file consists of lines of columns.

    Raises:
        BadInputError: names the options.
    """
    from understudy.graph.readers.formats import COMMA, EDGE_LISTS, TAB, parts_of
    from understudy.graph.readers.packed import unpacked_name

    parts = (part for file in files for part in parts_of(file, "edges"))
    found = {Path(unpacked_name(part)).suffix for part in parts}
    divided = found.intersection((*COMMA, *TAB))
    if delimiter and not divided:
        raise BadInputError(
            "--delimiter applies only to .csv and .tsv files, but none is given; leave it out"
        )
    if header is not None and not divided and not found.intersection(EDGE_LISTS):
        raise BadInputError(
            "--header and --no-header apply only to .csv, .tsv and plain edge lists, but none is "
            "given; leave it out"
        )


def check_word(option: str, value: str, values: tuple[str, ...]) -> None:
    """Refuses an invalid value of an option.

    Raises:
        BadInputError: the value is not allowed.
    """
    if value not in values:
        raise BadInputError(f"{option} must be one of {', '.join(values)}, not {value!r}")
