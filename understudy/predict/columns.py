"""Finds a file's columns of ids, texts and neighbours, and turns its rows into nodes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from understudy.client.models import Node
from understudy.graph.building import cells
from understudy.graph.building.cells import CellError
from understudy.graph.building.reading import Reading
from understudy.graph.errors import BadInputError
from understudy.graph.formulas import text_of_formula, texts_of_formulas
from understudy.graph.missing import is_blank, is_missing
from understudy.graph.readers.fields import has_all, listed, twice
from understudy.graph.readers.finding import NOT_READ, find, find_id, find_texts
from understudy.graph.readers.usual_names import NEIGHBOR_NAMES

Value = TypeVar("Value")
KINDS = 1_024  # sets of keys whose columns are remembered
NUMBERED = ("1", "2", "3")  # columns of a file without a header: id, text, neighbours


@dataclass(frozen=True)
class QueryFields:
    """Column names that the user gave; an empty one is searched for, `none` is not read.

    Attributes:
        imported: the columns that made the texts of the served graph; they also make the file's
            texts, if it has them all and the user names no others.
        imported_neighbors: the same for its neighbours.
    """

    id: str = ""
    text: tuple[str, ...] = ()
    neighbors: str = ""
    imported: tuple[str, ...] = ()
    imported_neighbors: str = ""

    def named_columns(self) -> Iterator[tuple[str, str]]:
        """Yields the options that name a column, with the name."""
        for option, names in (
            ("--id-field", (self.id,)),
            ("--text-field", self.text),
            ("--neighbors-field", (self.neighbors,)),
        ):
            yield from ((option, name) for name in names if name not in ("", NOT_READ))


@dataclass(frozen=True)
class Indexes:
    """Positions of the columns; empty or None if there is none."""

    id: int | None
    text: tuple[int, ...]
    neighbors: int | None
    problem: str | None = None  # set if two columns have the same role

    def used(self) -> dict[str, tuple[int, ...]]:
        """Returns the columns that are read, by role."""
        several = {
            "id": () if self.id is None else (self.id,),
            "text": self.text,
            "neighbors": () if self.neighbors is None else (self.neighbors,),
        }
        return {role: found for role, found in several.items() if found}

    def roles(self, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {role: tuple(columns[i] for i in found) for role, found in self.used().items()}


def find_columns(columns: Sequence[str], fields: QueryFields, numbered: bool) -> Indexes:
    """Finds the columns as an import does, except that none of them is required.

    Args:
        numbered: whether columns are named only 1, 2, ….
    """
    if numbered:
        usual = [name if name in columns else "" for name in NUMBERED]
        fields = QueryFields(
            id=fields.id or usual[0],
            text=fields.text or tuple(name for name in usual[1:2] if name),
            neighbors=fields.neighbors or usual[2] or NOT_READ,
        )
    identifier = None if fields.id == NOT_READ else find_id(columns, fields.id)
    known = fields.imported if has_all(columns, fields.imported) else ()
    linked = fields.imported_neighbors if has_all(columns, (fields.imported_neighbors,)) else ""
    text = (
        ()
        if NOT_READ in fields.text
        else find_texts(columns, fields.text or known, identifier=identifier)
    )
    found = Indexes(
        id=None if identifier in text and not fields.id else identifier,
        text=text,
        neighbors=find(columns, fields.neighbors or linked, NEIGHBOR_NAMES),
    )
    named = [name for _, name in fields.named_columns()]
    return replace(found, problem=twice(columns, found.used(), named))


@dataclass
class Columns:
    """Turns a file's records into nodes; JSON records may differ in their keys."""

    file: str
    fields: QueryFields
    numbered: bool = False
    remarks: tuple[str, ...] = ()
    known: dict[tuple[str, ...], Indexes] = field(default_factory=dict)
    seen: dict[str, None] = field(default_factory=dict)

    def indexes(self, columns: Sequence[str]) -> Indexes:
        key = tuple(columns)
        if key not in self.known:
            if len(self.known) == KINDS:
                self.known.clear()
            self.known[key] = find_columns(key, self.fields, self.numbered)
            self.seen.update(dict.fromkeys(key))
        return self.known[key]

    def node(self, columns: Sequence[str], values: Sequence[object]) -> Node:
        """Makes the node of a record: an unseen one if it has a text, otherwise the stored one.

        A lone neighbour that is a word for a missing value is kept: only whoever knows all ids can
        tell whether a node is called so, see `understudy.predict.run`.

        Raises:
            BadInputError: it has neither id nor text, two of its columns have the same role, or a
                value has the wrong type.
        """
        at = self.indexes(columns)
        if at.problem:
            raise BadInputError(at.problem)

        def read(index: int | None, of: Callable[[object], Value]) -> Value | None:
            try:
                return None if index is None else of(values[index])
            except CellError as error:
                raise BadInputError(f"column {columns[index or 0]!r} must be {error}") from error

        identifier = read(at.id, cells.name_of)
        texts = [read(index, cells.text_of) for index in at.text]
        neighbors = texts_of_formulas(read(at.neighbors, cells.neighbors_of) or [])
        identifier = text_of_formula(identifier or "").strip() or None  # an import allows "nan"
        text = cells.joined(texts) if texts else None
        if text is not None and (is_blank(text) or is_missing(text)):
            text = None
        if identifier is None and text is None:
            raise BadInputError("neither an id nor a text")
        if text is None and neighbors and lone_word(neighbors) is None:
            raise BadInputError(
                "neighbours without a text: a stored node has its own; to look it up, leave them "
                "out or give --neighbors-field none"
            )
        return Node(identifier, text, tuple(neighbors) if text is not None else ())

    def check(self, columns: Sequence[str]) -> None:
        """Checks a table's columns before its rows are read.

        Raises:
            BadInputError: a named column is missing, there is no column of ids or texts, two
                columns have the same role, or neighbours are named without texts; the message lists
                the columns.
        """
        at = self.indexes(columns)
        self.check_named(columns)
        if not at.text:
            at = self.without_neighbors(columns, at)
        if at.problem:
            raise BadInputError(f"{self.file}: {at.problem}")
        if at.id is None and not at.text:
            raise BadInputError(
                f"{self.file}: no column of ids or of texts; the columns are: {listed(columns)}; "
                "name one with --id-field or --text-field; if this is no header but data, use "
                "--no-header"
            )

    def without_neighbors(self, columns: Sequence[str], at: Indexes) -> Indexes:
        """Leaves out the neighbours of a table with ids only, whose nodes are stored.

        Raises:
            BadInputError: an option names the column of neighbours.
        """
        if self.fields.neighbors not in ("", NOT_READ):
            raise BadInputError(
                f"{self.file}: --neighbors-field has no effect: there is no column of texts, and "
                "stored nodes have neighbours of their own; leave it out, or name a text column "
                f"with --text-field; the columns are: {listed(columns)}"
            )
        self.known[tuple(columns)] = alone = replace(at, neighbors=None)
        return alone

    def check_named(self, columns: Sequence[str]) -> None:
        """Refuses column names that the file does not have.

        Raises:
            BadInputError: an option names a missing column.
        """
        lowered = {column.lower() for column in columns}
        for option, name in self.fields.named_columns():
            if name.lower() not in lowered:
                raise BadInputError(
                    f"{self.file}: no column {name!r}, which {option} names; the columns are: "
                    f"{listed(columns)}"
                )

    def notes(self, columns: Sequence[str]) -> Iterator[str]:
        """Yields messages about how the columns were interpreted."""
        at = self.indexes(columns)
        roles: Mapping[str, tuple[str, ...]] = at.roles(columns)
        used = {name for names in roles.values() for name in names}
        unread = [column for column in columns if column not in used]
        yield str(Reading(self.file, dict(roles), unread, self.remarks, not self.numbered))
        if at.text and at.id is None and unread and self.fields.id != NOT_READ:
            yield (
                "no column is read as the id, so answers are known by their rows alone; name one "
                "with --id-field, or none"
            )
        if at.text and at.id is not None:
            yield (
                "rows with a text are classified by it, as nodes that are not stored; to look up "
                "stored nodes by their ids, give --text-field none"
            )
        of_graph = self.fields.imported
        known = any(has_all(columns, (name,)) for name in of_graph)  # or names are incomparable
        if at.text and known and not same(roles["text"], of_graph):
            yield (
                f"the texts of the served graph come from {'+'.join(of_graph)}, but these come "
                f"from {'+'.join(roles['text'])}: answers about texts of another kind are less "
                "reliable"
            )
        if at.text and at.neighbors is None:
            yield "there is no column of neighbours: texts are classified without neighbours"


def lone_word(neighbors: Sequence[str]) -> str | None:
    """The only neighbour, if it is a word for a missing value; it may also be a node's id."""
    return neighbors[0] if len(neighbors) == 1 and is_missing(neighbors[0]) else None


def same(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two lists of columns have the same names, ignoring case."""
    return [name.lower() for name in names] == [name.lower() for name in others]
