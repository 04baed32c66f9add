"""Finds nodes by words of their ids and texts.

It scans string columns: that takes 8 ms for 63,000 ids and titles, releases the interpreter's lock,
and needs no index that would have to follow the graph's changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.graph.mutable.view import REMOVED, GraphView
from understudy.graph.text_graph import TextGraph, string_array

NO_ROWS: NDArray[np.int64] = np.empty(0, np.int64)
EQUAL, BEGINS, IN_ID, IN_TITLE, IN_TEXT, NOWHERE = range(6)  # ranks of a match, best first


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are searched.

    Shapes:
        ids, titles: large_string [N], in lower case, accents composed (NFC)
        texts: large_string [N], unchanged
    """

    ids: pa.LargeStringArray
    titles: pa.LargeStringArray
    texts: pa.LargeStringArray

    def fit(self, query: str, enough: int, gone: NDArray[np.int64] = NO_ROWS) -> NDArray[np.int8]:
        """The rank of every node's match; int8 [N].

        Args:
            query: in lower case; each of its words must occur in a node's id or text.
            enough: whole texts are read only if ids and titles match fewer nodes.
            gone: rows, int64, that have been removed or changed; they never match.
        """
        words = query.split()
        in_id = [contains(self.ids, word) for word in words]
        in_title = [hit | contains(self.titles, w) for hit, w in zip(in_id, words, strict=True)]
        fits = np.full(len(self.ids), NOWHERE, dtype=np.int8)
        titled = np.logical_and.reduce(in_title)
        titled[gone] = False
        if titled.sum() < enough:
            rows, texts = np.arange(len(fits)), pc.utf8_lower(self.texts)
            for hit, word in sorted(zip(in_title, words, strict=True), key=lambda p: -len(p[1])):
                kept = hit[rows] | contains(texts, word)
                rows, texts = rows[kept], texts.filter(pa.array(kept))  # few after a rare word
            fits[rows] = IN_TEXT
        fits[titled] = IN_TITLE
        fits[np.logical_and.reduce(in_id)] = IN_ID
        fits[as_mask(pc.starts_with(self.ids, query))] = BEGINS
        fits[as_mask(pc.equal(self.ids, query))] = EQUAL
        fits[gone] = NOWHERE
        return fits


def columns_of(ids: pa.LargeStringArray, texts: pa.LargeStringArray) -> Columns:
    titles = pc.list_element(pc.split_pattern(texts, "\n", max_splits=1), 0)
    return Columns(alike(ids), alike(titles), texts)


def alike(column: pa.LargeStringArray) -> pa.LargeStringArray:
    """Normalises texts that look the same: keyboards and file names encode accents differently."""
    return pc.utf8_lower(pc.utf8_normalize(column, form="NFC"))


class Search:
    """Searches a graph's base and the later changes."""

    def __init__(self, base: TextGraph) -> None:
        self.base = base
        self.columns = columns_of(base.ids, base.texts)

    def find(self, view: GraphView, query: str, limit: int) -> NDArray[np.int64]:
        """The rows of the best matching nodes; int64 [at most `limit`].

        Best is a node whose id equals the query, then ids that begin with it, then nodes with all
        words in the id, the title or the text. Short ids come first, and among matches by text the
        nodes with the most neighbours.

        Args:
            view: of the same base.
        """
        query = alike(string_array([query]))[0].as_py().strip()
        if not query:
            return np.empty(0, dtype=np.int64)
        records = view.parts.records.items(view.version)
        changed = [row for row in records if row < self.base.num_nodes]
        fits = self.columns.fit(query, limit, np.array(changed, dtype=np.int64))
        rows = np.flatnonzero(fits < NOWHERE)
        fits = fits[rows]
        over = [(row, record) for row, record in records.items() if record is not REMOVED]
        if over:
            ids, texts = ([getattr(r, name) for _, r in over] for name in ("id", "text"))
            own = columns_of(string_array(ids), string_array(texts)).fit(query, limit)
            hits = np.flatnonzero(own < NOWHERE)
            rows = np.concatenate([rows, np.array([row for row, _ in over], np.int64)[hits]])
            fits = np.concatenate([fits, own[hits]])
        return rows[best_first(view, rows, fits, limit)]


def best_first(
    view: GraphView, rows: NDArray[np.int64], fits: NDArray[np.int8], limit: int
) -> NDArray[np.int64]:
    """Positions of the best `limit` of `rows`, whose ranks are `fits` (both [B])."""
    degrees = view.degrees(rows)
    found_by_id = fits <= IN_ID
    lengths = np.zeros(len(rows), dtype=np.int64)
    lengths[found_by_id] = [len(view.id(row)) for row in rows[found_by_id].tolist()]
    return np.lexsort((rows, -degrees, lengths, fits))[:limit]


def contains(column: pa.LargeStringArray, word: str) -> NDArray[np.bool_]:
    return as_mask(pc.match_substring(column, word))


def as_mask(booleans: pa.BooleanArray) -> NDArray[np.bool_]:
    return np.asarray(booleans.to_numpy(zero_copy_only=False), dtype=np.bool_)


def titles(view: GraphView, rows: Sequence[int], characters: int = 120) -> list[str]:
    """The first lines of some nodes' texts, truncated."""
    return [view.text(row).partition("\n")[0][:characters] for row in rows]
