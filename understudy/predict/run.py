"""Turns rows into answers, in parts, so that a killed run can be resumed."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from understudy.graph.ids import id_problem
from understudy.predict.answering import Answerer
from understudy.predict.columns import lone_word
from understudy.predict.errors import BadRowError
from understudy.predict.rows import BAD_ROW, Answer, Row, failed
from understudy.progress import Progress, silent

STAGE = "classify"
PART_ROWS = 16_384
PART_SECONDS = 10.0  # after this time even a small part is written
SHOWN = 10  # problems that are reported one by one

DECIMAL = re.compile(r"(-?\d+)\.0")  # an id read as a decimal

Tell = Callable[[str], None]


@dataclass
class Problems:
    """Counts the rows that cannot be answered, and reports the first ones.

    Attributes:
        strict: stop at the first one.
    """

    strict: bool
    tell: Tell
    count: int = 0
    first: str = ""
    warned_of_decimals: bool = False

    def add(self, row: Row, error: str) -> None:
        """Counts a row's error and reports it.

        Raises:
            BadRowError: with `strict`.
        """
        words = f"{row.where}: {error}"
        decimals = map(DECIMAL.fullmatch, suspect_ids(row, error.partition(":")[0]))
        if not self.warned_of_decimals and (found := next(filter(None, decimals), None)):
            self.warned_of_decimals = True
            self.tell(
                f"{found[0]} is a decimal: if {found[1]} is meant, write whole numbers; an empty "
                "cell makes pandas write a whole column as decimals (astype('Int64') keeps whole "
                "numbers)"
            )
        if self.strict:
            raise BadRowError(f"{words}; correct it, or leave --strict out")
        self.count += 1
        self.first = self.first or words
        if self.count <= SHOWN:
            self.tell(f"warning: {words}")


def suspect_ids(row: Row, code: str) -> Sequence[str]:
    """The ids of a row among which, by the code of its error, one is unknown."""
    if row.node is None:
        return ()
    if code == "unknown_node":
        return (row.node.id,) if row.node.id is not None else ()
    return row.node.neighbors if code == "unknown_neighbor" else ()


@dataclass
class Run:
    """Options and state of turning rows into answers.

    Attributes:
        total: number of rows; 0 if unknown.
        called: word for a missing value → whether a node of the graph is called so.
    """

    answerer: Answerer
    top_k: int
    problems: Problems
    progress: Progress = silent
    total: int = 0
    clock: Callable[[], float] = field(default=time.monotonic)
    looked_up: bool = False  # the id of a first row with a text
    called: dict[str, bool] = field(default_factory=dict)

    def parts(self, rows: Iterable[Row], done: int = 0) -> Iterator[list[Answer]]:
        """Yields the answers in parts large enough to be written.

        Args:
            done: number of rows that were answered before, and are skipped.

        Raises:
            BadRowError: with --strict, a row cannot be answered.
        """
        left = iter(rows)
        passed = sum(1 for _ in islice(left, done))
        part: list[Answer] = []
        began = self.clock()
        batches = iter(lambda: list(islice(left, self.answerer.batch)), [])
        for answers in self.answered(batches):
            part += answers
            passed += len(answers)
            self.progress(STAGE, passed, self.total)
            if len(part) >= PART_ROWS or self.clock() - began >= PART_SECONDS:
                yield part
                part, began = [], self.clock()
        if part:
            yield part
        self.progress(STAGE, passed, passed)

    def answered(self, batches: Iterable[Sequence[Row]]) -> Iterator[list[Answer]]:
        """Yields the batches' answers in their order; the answerer may work on several at once."""
        pending: deque[Sequence[Row]] = deque()

        def good() -> Iterator[Sequence[Row]]:
            for rows in batches:
                pending.append(rows)
                self.remark_stored(rows)
                yield [self.settled(row) for row in rows if row.node is not None]

        for found in self.answerer.answer_each(good(), self.top_k):
            yield self.joined(pending.popleft(), iter(found))

    def remark_stored(self, rows: Sequence[Row]) -> None:
        """Says so if the first row that has a text is about a stored node, whose own links its
        answer does not read; probably the others are, too.
        """
        nodes = ((row.where, row.node) for row in rows if row.node is not None)
        first = next(((where, node.id) for where, node in nodes if node.id and node.text), None)
        if self.looked_up or first is None:
            return
        self.looked_up = True
        where, node_id = first
        if id_problem(node_id) is None and self.answerer.stores(node_id):
            self.problems.tell(
                f"{where}: {node_id!r} is a stored node, but is classified by its text, without "
                "the links that are stored; for the answers of stored nodes give --text-field none"
            )

    def settled(self, row: Row) -> Row:
        """The row without a lone neighbour that is a word for a missing value, unless a node is
        called so; as at an import.
        """
        word = None if row.node is None else lone_word(row.node.neighbors)
        if row.node is None or word is None:
            return row
        if word not in self.called:
            self.called[word] = self.answerer.stores(word)
        return row if self.called[word] else replace(row, node=replace(row.node, neighbors=()))

    def joined(self, rows: Sequence[Row], found: Iterator[Answer]) -> list[Answer]:
        """Merges found answers with errors of unreadable rows, one answer per row, in order."""
        answers = []
        for row in rows:
            bad = row.node is None
            answer = failed(row, f"{BAD_ROW}: {row.problem}") if bad else next(found)
            if answer.error is not None:
                self.problems.add(row, answer.error)
            answers.append(answer)
        return answers
