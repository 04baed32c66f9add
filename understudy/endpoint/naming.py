"""Finds the label in a language model's text, and its position."""

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

# A label in JSON has at most six characters for each of its own, and a frame around it.
ESCAPED = 6
FRAME = 1_000
LONGEST_READ = 20_000  # characters of an answer whose lines are searched for a label
THOUGHT = re.compile(r"\A\s*(?:<think>)?(.*?)</think>", re.DOTALL)
OPEN_THOUGHT = re.compile(r"\A\s*<think>")
ASKED_FIELD = "category"  # of the schema that answers are restricted to
FIELD = re.compile(r'"([^"\\]*)"\s*:\s*("(?:[^"\\]|\\.)*")')  # of JSON, which may be cut off later
# Words that deny or doubt the label after them, as in "It is not X" and "whether it is X".
DENIED = re.compile(
    r"(?:\b(?:not|never|neither|nor|whether|unlike|except|than)|n['\u2019]t)\s+(?:\w+\s+){0,4}\W*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Named:
    label: int  # index into the label names
    start: int | None  # where the label begins in the text; None: spelled differently


def after_thoughts(text: str) -> tuple[str, bool]:
    """The text after a model's thoughts, and whether there were any; empty if they do not end.

    Some chat templates open the thought themselves, so that the answer only closes it.
    """
    found = THOUGHT.match(text)
    if found:
        return text[found.end() :], bool(found.group(1).strip())
    return ("", True) if OPEN_THOUGHT.match(text) else (text, False)


def find_label(text: str, label_names: Sequence[str], exact: bool = False) -> Named | None:
    """The label that an answer names.

    First, the whole answer is compared: bare, as a JSON string, or as a JSON object with one value;
    verbatim, then ignoring case, blanks, quotes and a full stop, as long as only one label matches:
    with labels `us` and `US`, `Us` names neither. Then, unless `exact`, fields of JSON whose whole
    value is a label count, `category` before others, if they name just one. Last, the first line
    that contains a label must contain just one; a longer label takes precedence over one inside it,
    and a line that denies or doubts its only label contains none.
    """
    label = whole_label(text, label_names)
    if label is None and not exact:
        return named_by_field(text, label_names) or first_named(text, label_names)
    return None if label is None else Named(label, last_place(text, label_names[label]))


def named_by_field(text: str, label_names: Sequence[str]) -> Named | None:
    """The label in the fields of a JSON object with several, which may be cut off or fenced."""
    reader = label_reader(tuple(label_names))
    fields: list[tuple[str, Named]] = []
    for found in FIELD.finditer(text[:LONGEST_READ]):
        value = unwrapped(found[2])
        label = reader.find(value)
        if label is not None:
            verbatim = found[2][1:-1] == label_names[label]
            fields.append((found[1], Named(label, found.start(2) + 1 if verbatim else None)))
    asked = [named for field, named in fields if field == ASKED_FIELD]
    one_of = asked or [named for _, named in fields]
    return one_of[0] if len({named.label for named in one_of}) == 1 else None


def whole_label(text: str, label_names: Sequence[str]) -> int | None:
    if len(text) > ESCAPED * max(map(len, label_names)) + FRAME:
        return None
    if text in label_names:
        return list(label_names).index(text)
    return label_reader(tuple(label_names)).find(unwrapped(text))


def may_go_on(text: str, label: int, label_names: Sequence[str]) -> bool:
    """Whether a truncated answer may have continued to a longer label, such as `net` or `net co` if
    there is a label `net core`.
    """
    answer, *names = (on_one_line(words).casefold() for words in (text, *label_names))
    begun = answer[answer.rfind(names[label]) :]
    return any(len(name) > len(names[label]) and name.startswith(begun) for name in names)


class LabelReader:
    """Finds the label in a text that consists of a label only."""

    def __init__(self, label_names: Sequence[str]) -> None:
        self.readings = [(read, meanings(read, label_names)) for read in READINGS]
        self.exact = self.readings[0][1]  # label → its position

    def find(self, answer: str) -> int | None:
        """An index into the label names; None if no label matches, or several do."""
        for read, meant in self.readings:
            wanted = read(answer)
            if wanted in meant:
                return meant[wanted]
        return None


@lru_cache(maxsize=8)
def label_reader(label_names: tuple[str, ...]) -> LabelReader:
    return LabelReader(label_names)


def meanings(read: Callable[[str], str], label_names: Sequence[str]) -> dict[str, int | None]:
    """Maps each reading of a label to its index; None if several labels share it."""
    result: dict[str, int | None] = {}
    for index, name in enumerate(label_names):
        reading = read(name)
        result[reading] = None if reading in result else index
    return result


def unwrapped(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else text


def as_written(text: str) -> str:
    return text


def on_one_line(text: str) -> str:
    """Collapses blanks, and composes accents, which labels may have decomposed."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def bare(text: str) -> str:
    return on_one_line(text).strip(" \"'`*.")


# From the strictest to the loosest.
READINGS: tuple[Callable[[str], str], ...] = (
    as_written,
    on_one_line,
    lambda text: on_one_line(text).casefold(),
    bare,
    lambda text: bare(text).casefold(),
)


def first_named(text: str, label_names: Sequence[str]) -> Named | None:
    """The label in the first line that contains any; None if that line has several."""
    offset = 0
    for line in text[:LONGEST_READ].splitlines(keepends=True):
        found = labels_within(line, label_names)
        if len(found) > 1:
            return None
        if found and not DENIED.search(line[: found[0][1]]):
            return Named(found[0][0], offset + found[0][1])
        offset += len(line)
    return None


def labels_within(line: str, label_names: Sequence[str]) -> list[tuple[int, int]]:
    """(label, where it begins first), without labels that are only part of a longer one."""
    spans = [
        (index, found.span())
        for index, name in enumerate(label_names)
        for found in pattern(name).finditer(line)
    ]
    parts: set[tuple[int, int]] = set()
    reach = 0  # the farthest end of the spans so far
    for start, end in sorted({span for _, span in spans}, key=lambda span: (span[0], -span[1])):
        if end <= reach:
            parts.add((start, end))
        reach = max(reach, end)
    result: dict[int, int] = {}
    for index, span in spans:
        if span not in parts:
            result.setdefault(index, span[0])
    return list(result.items())


def pattern(name: str) -> re.Pattern[str]:
    """Matches a label at word boundaries; any punctuation and blanks may separate its words.

    `net` does not match in `internet`, `non-net` and `net.core`, nor `c` in `c++`.
    """
    words = re.findall(r"[^\W_+#.-]+[+#.-]*(?:[^\W_]+[+#.-]*)*", name.rstrip(".")) or [name]
    inner = r"[\W_]+".join(re.escape(word) for word in words)
    before = r"(?<![^\W_])(?<![^\W_][-+#.])"
    return re.compile(f"{before}{inner}(?![-+#.]*[^\\W_])(?![+#])", re.IGNORECASE)


def last_place(text: str, name: str) -> int | None:
    """Where a label occurs last; the text before it is its frame."""
    escaped = (json.dumps(name, ensure_ascii=ascii_alone)[1:-1] for ascii_alone in (True, False))
    for written in (name, *escaped, name.strip(" \"'`*.")):
        if (start := text.casefold().rfind(written.casefold())) >= 0:
            # Lowercasing can change the length, which shifts positions.
            return start if len(text.casefold()) == len(text) else None
    found = list(pattern(name).finditer(text))
    return found[-1].start() if found else None
