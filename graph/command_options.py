"""Options that several `data` commands share, and what they are turned into."""

from pathlib import Path
from typing import Annotated

import typer

from graph.builder import MISSING_TEXT, UNSEEN_LABELS, Rules
from graph.errors import BadInputError

Out = Annotated[Path, typer.Argument(help="The graph folder to write.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace OUT also if it is another kind of folder of understudy's."
    ),
]
Seed = Annotated[int, typer.Option(help="Of the random split, and of drawing.")]
Fractions = Annotated[
    str, typer.Option(help="Shares of train, val and test, where the split is random.")
]
Name = Annotated[str, typer.Option(help="The graph's name; by default that of OUT.")]
SkipUnknown = Annotated[
    bool, typer.Option("--skip-unknown", help="Drop edges to unknown nodes instead of stopping.")
]
MissingText = Annotated[
    str,
    typer.Option(help="A node without text: fail, skip (leave it out), or id (take its id)."),
]
UnseenLabels = Annotated[
    str,
    typer.Option(help="A label that only val or test has: fail, or drop (remove that label)."),
]
Splits = Annotated[
    Path | None,
    typer.Option(help="JSON file of named splits, each with lists train, val and test."),
]
SplitName = Annotated[str | None, typer.Option(help="Which split of --splits.")]


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Three shares of 1, for example "0.6,0.2,0.2".

    Raises:
        BadInputError: it is something else.
    """
    try:
        train, val, test = (float(part) for part in text.replace("/", ",").split(","))
    except ValueError:
        raise BadInputError(
            f"--fractions must be three numbers such as 0.6,0.2,0.2, not {text!r}"
        ) from None
    if not (min(val, test) >= 0 < train and abs(train + val + test - 1) < 1e-6):  # nan too
        raise BadInputError(f"--fractions must be shares that sum to 1, not {text!r}")
    return train, val, test


def parse_rules(
    skip_unknown: bool, missing_text: str, unseen_labels: str, fractions: str, seed: int
) -> Rules:
    """The rules that the options ask for.

    Raises:
        BadInputError: an option has no such value.
    """
    for option, value, values in (
        ("--missing-text", missing_text, MISSING_TEXT),
        ("--unseen-labels", unseen_labels, UNSEEN_LABELS),
    ):
        if value not in values:
            raise BadInputError(f"{option} must be one of {', '.join(values)}, not {value!r}")
    return Rules(skip_unknown, missing_text, unseen_labels, parse_fractions(fractions), seed)
