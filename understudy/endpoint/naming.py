"""Finds the label in a language model's text, and its position."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
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
    value is a label count, if they name just one; if there is a field `category`, it alone counts.
    Last, the first line that contains a label must contain just one; a longer label takes
    precedence over one inside it, and a line that denies or doubts its only label contains none.
    """
    label = whole_label(text, label_names)
    if label is not None:
        return Named(label, last_place(text, label_names[label]))
    if exact:
        return None
    fields = list(FIELD.finditer(text[:LONGEST_READ]))
    if asked := [field for field in fields if field[1] == ASKED_FIELD]:
        # Words around a label are read in this field; what the others say is no answer.
        return only_label(
            value_named(field, label_names) or first_in(field, label_names) for field in asked
        )
    named = only_label(value_named(field, label_names) for field in fields)
    return named or first_named(text, label_names)


def only_label(several: Iterable[Named | None]) -> Named | None:
    """The first of those that name a label; None if they name different ones."""
    named = [one for one in several if one is not None]
    return named[0] if len({one.label for one in named}) == 1 else None


def value_named(field: re.Match[str], label_names: Sequence[str]) -> Named | None:
    """The label that is the whole value of a field of JSON, see FIELD."""
    label = label_reader(tuple(label_names)).find(unwrapped(field[2]))
    if label is None:
        return None
    verbatim = field[2][1:-1] == label_names[label]
    return Named(label, field.start(2) + 1 if verbatim else None)


def first_in(field: re.Match[str], label_names: Sequence[str]) -> Named | None:
    """The label in the value of a field of JSON, see FIELD, among other words."""
    named = first_named(field[2], label_names)
    if named is None or named.start is None:
        return named
    return Named(named.label, field.start(2) + named.start)


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
