"""Reads descriptions of labels from a file, one line each: the meaning of a name like `cs.LG`."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from understudy.graph.errors import BadInputError, SourceError
from understudy.graph.names import which_are_known
from understudy.graph.prompts import tidy
from understudy.graph.readers.delimited import read_delimited
from understudy.graph.readers.fields import check_single
from understudy.graph.readers.jsonl import document_rows, kind, parse, read_jsonl
from understudy.graph.readers.packed import unpacked_name
from understudy.graph.readers.text_lines import read_lines

LABEL, DESCRIPTION = "label", "description"
MOST_CHARACTERS = 1_000  # of one description: every prompt repeats all of them
SHOWN = 5  # labels without a description that a warning lists
DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
FORMATS = (
    ".csv or .tsv with the columns label and description, .jsonl or .json of objects with these "
    "keys, or .json of one object from labels to descriptions"
)

log = logging.getLogger(__name__)


def read_label_descriptions(path: Path, label_names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(label, description) of the labels that a file describes, in the order of `label_names`.

    Missing labels are logged as a warning.

    Raises:
        SourceError: the file cannot be read, or has none of the formats.
        BadInputError: no label is described, one is unknown or described twice, or a description is
            invalid.
    """
    return checked_descriptions(records(path), label_names, str(path))


def checked_descriptions(
    described_labels: Iterable[tuple[str, object, object]], label_names: Sequence[str], source: str
) -> tuple[tuple[str, str], ...]:
    """Checks records of place, label and description; see `read_label_descriptions`.

    Raises:
        BadInputError: no label is described, one is unknown or described twice, or a description is
            invalid.
    """
    entries: dict[str, tuple[str, str]] = {}  # label → description, place
    for where, label, text in described_labels:
        if not isinstance(label, str) or label.strip() not in label_names:
            raise BadInputError(f"{where}: {unknown(label, label_names)}")
        label = label.strip()
        if label in entries:
            raise BadInputError(
                f"{where}: label {label!r} is already described at {entries[label][1]}; keep one"
            )
        entries[label] = described(text, f"{where}: label {label!r}"), where
    if not entries:
        raise BadInputError(f"{source} contains no descriptions; add some, or leave it out")
    missing = [name for name in label_names if name not in entries]
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        shown = ", ".join(map(repr, missing[:SHOWN]))
        log.warning(
            "%s describes %d of %d labels, not %s%s",
            source,
            len(entries),
            len(label_names),
            shown,
            more,
        )
    return tuple((name, entries[name][0]) for name in label_names if name in entries)


def records(path: Path) -> Iterator[tuple[str, object, object]]:
    """Yields each record's place, label and description.

    Raises:
        SourceError, BadInputError: as in `read_label_descriptions`.
    """
    suffix = Path(unpacked_name(path)).suffix
    if suffix in DELIMITERS:
        rows, at = read_delimited(path, DELIMITERS[suffix]), f"{path}:"
    elif suffix in JSON_LINES:
        rows, at = read_jsonl(path), f"{path}:"
    elif suffix == ".json":
        value = parse("".join(read_lines(path)), str(path), "expected an object or an array")
        if isinstance(value, dict):
            yield from ((str(path), label, text) for label, text in value.items())
            return
        if not isinstance(value, list):
            raise BadInputError(f"{path}: expected an object or an array, found {kind(value)}")
        rows, at = document_rows(path, value), f"{path} item "
    else:
        raise SourceError(f"{path}: unknown format; expected {FORMATS}")
    for number, columns, values in rows:
        lacking = [name for name in (LABEL, DESCRIPTION) if name not in columns]
        if lacking:
            raise BadInputError(
                f"{at}{number}: no {' and no '.join(lacking)}, found {', '.join(columns)}; "
                f"expected {FORMATS}"
            )
        label, text = (columns.index(name) for name in (LABEL, DESCRIPTION))
        roles = {LABEL: (label,), DESCRIPTION: (text,)}
        check_single(f"{at}{number}", columns, roles, (LABEL, DESCRIPTION))
        yield f"{at}{number}", values[label], values[text]


def unknown(label: object, label_names: Sequence[str]) -> str:
    """The message for a label that the graph does not have."""
    return f"the graph has no label {label!r}; {which_are_known(str(label), label_names)}"


def described(text: object, place: str) -> str:
    """A description on one line, without anything that looks like a shown label.

    Raises:
        BadInputError: it is no text, empty, or too long.
    """
    if not isinstance(text, str):
        raise BadInputError(f"{place}: the description must be a text, not {text!r}")
    line = " ".join(tidy(text).split())
    if not line:
        raise BadInputError(f"{place}: the description is empty; write one or leave the label out")
    if len(line) > MOST_CHARACTERS:
        raise BadInputError(
            f"{place}: the description has {len(line):,} characters; every prompt repeats it, so "
            f"write at most {MOST_CHARACTERS:,}"
        )
    return line
