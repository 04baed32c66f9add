"""Infers the dialect of a text table from the file: its delimiter and its quoting."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.graph.errors import BadInputError
from understudy.graph.formulas import SIGN
from understudy.graph.readers.packed import open_bytes
from understudy.graph.readers.text_lines import read_lines

DELIMITERS = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}
WORDS = {name: sign for sign, name in NAMES.items()} | {"\\t": "\t"}
EXCEL_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
CHUNK = 1 << 20  # bytes
BACKSLASH_QUOTE = b'\\"'
QUOTED_PART = re.compile(r'"[^"]*"')
QUOTED_FIELD = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True)
class Dialect:
    """How the lines of a file are split into fields."""

    delimiter: str
    quoted: bool = True  # whether quotes may enclose a field; otherwise they are literal
    backslash: bool = False  # whether \\" is a quote inside a field
    formulas: bool = False  # whether values may be written as formulas, ="007"
    skipped: int = 0  # lines before the header
    remarks: tuple[str, ...] = ()  # inferred facts


@dataclass(frozen=True)
class FirstLine:
    """The first line of a table, and its properties."""

    text: str  # without its end; empty if there are only blank lines
    number: int  # starts at 1
    delimiter: str
    skipped: int = 0  # number of preceding lines meant for spreadsheets
    remarks: tuple[str, ...] = ()  # inferred facts


def parse_delimiter(word: str) -> str:
    """The character that `--delimiter` means; empty if none was given.

    Raises:
        BadInputError: it is not a single character.
    """
    sign = WORDS.get(word.lower(), word)
    if len(sign) > 1 or sign in ('"', "\n", "\r"):
        raise BadInputError(
            f"--delimiter must be one sign or one of {', '.join(NAMES.values())}, not {word!r}"
        )
    return sign


def first_line(path: Path, lines: Iterable[str], usual: str, given: str = "") -> FirstLine:
    """Reads the beginning of a table.

    Args:
        lines: of the file; those after the first one are not consumed.
        usual: the delimiter that the file's name suggests.
        given: the delimiter that the user named; empty to infer it from the line.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is empty, not UTF-8, or holds JSON.
    """
    text, number, skipped = "", 0, 0
    for number, line in enumerate(lines, 1):
        excel = EXCEL_LINE.fullmatch(line)
        if excel and not skipped:
            given, skipped = given or excel.group(1), number
        elif line.strip():
            text = line.rstrip("\r\n")
            break
    if is_json(text):
        raise BadInputError(f"{path}: not columns but JSON; let its name end in .jsonl or .json")
    delimiter = given or likeliest(text, usual)
    remarks = (f"delimiter {NAMES[delimiter]}",) if not given and delimiter != usual else ()
    return FirstLine(text, number, delimiter, skipped, remarks)


def find_dialect(path: Path, usual: str, given: str = "") -> Dialect:
    """Infers a file's dialect, scanning it as a whole if needed; see `first_line`.

    Raises:
        SourceError: the file cannot be read.
        BadInputError: it is empty, not UTF-8, or holds JSON.
    """
    lines = read_lines(path)
    first = first_line(path, lines, usual, given)
    delimiter, skipped, remarks = first.delimiter, first.skipped, first.remarks
    signs = occurring(path, (BACKSLASH_QUOTE, SIGN))
    wanted = delimiter == "\t" or BACKSLASH_QUOTE in signs
    backslash, raw = scan(lines, first.text, delimiter) if wanted else (False, False)
    if raw:
        remarks, backslash = (*remarks, "quotes taken as they stand"), False
    if backslash:
        remarks = (*remarks, 'backslashes before quotes (\\") read as escapes')
    return Dialect(delimiter, not raw, backslash, SIGN in signs, skipped, remarks)


def is_json(line: str) -> bool:
    """Whether a first line is, or begins, an object or an array."""
    if line.strip() in ("[", "{"):
        return True
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def likeliest(header: str, usual: str) -> str:
    """The delimiter that splits the header into most columns; the usual one on a tie."""
    plain = QUOTED_PART.sub("", header)
    counts = {sign: plain.count(sign) for sign in (usual, *DELIMITERS)}
    if usual == "\t" and counts["\t"]:
        return usual  # commas in column names do not indicate another delimiter
    return max(counts, key=lambda sign: counts[sign])


def occurring(path: Path, signs: Sequence[bytes]) -> set[bytes]:
    """The pairs of bytes that are anywhere in a file; much faster than reading lines."""
    present: set[bytes] = set()
    with open_bytes(path) as stream:
        before = b""
        while len(present) < len(signs) and (chunk := stream.read(CHUNK)):
            present.update(sign for sign in signs if sign in before + chunk)
            before = chunk[-1:]
    return present


def scan(lines: Iterable[str], header: str, delimiter: str) -> tuple[bool, bool]:
    """Scans the lines below the header.

    Returns:
        whether backslashes escape quotes; whether quotes are literal. The latter is only checked
        for tab-separated files: every line has the header's fields, some quote is out of place for
        a quoted field, as in the title `"Why?" and other questions`, and none is doubled.
    """
    escaped = re.compile(rf'\\"[^"\r\n{re.escape(delimiter)}]')
    columns = header.count("\t")
    backslash, even, odd, doubled = False, delimiter == "\t" and columns > 0, False, False
    for line in lines:
        even = even and (line.count("\t") == columns or not line.strip())
        if '"' not in line:
            continue
        backslash = backslash or escaped.search(line) is not None
        for field in line.rstrip("\r\n").split("\t") if even else ():
            enclosed = '"' not in field or QUOTED_FIELD.fullmatch(field) is not None
            odd = odd or not enclosed
            doubled = doubled or (enclosed and '""' in field[1:-1])
    return backslash, even and odd and not doubled


def looks_like_data(columns: Iterable[str]) -> bool:
    """Whether a supposed header holds only numbers."""
    return all(re.fullmatch(r"-?\d+(\.\d+)?", column.strip()) for column in columns)


def split_raw(line: str, delimiter: str) -> list[str]:
    """The fields of a line with literal quotes."""
    line = line.rstrip("\r\n")
    return line.split(delimiter) if line.strip() else []


csv.field_size_limit(1 << 27)  # characters; the module's own limit cuts long texts short
