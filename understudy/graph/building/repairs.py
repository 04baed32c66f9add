"""The repairs made while a graph was built: their number, and the first place."""

from dataclasses import dataclass

# Keys of TextGraph.notes, and their text in a summary.
REPAIRS = {
    "repeated_nodes": "repeats of an identical node record left out",
    "nodes_without_text": "nodes without text left out",
    "texts_from_ids": "nodes without text given their id as text",
    "unseen_texts": "texts without a visible character treated as missing",
    "missing_labels": "labels such as NaN, null or ? read as none",
    "negative_labels": "negative numbers as labels read as none (else: --negative-labels class)",
    "dotted_labels": "labels such as 1.000 read as 1 beside 1000 (else: leave the point out)",
    "formulas": 'formulas such as ="007" read as the text in them',
    "whole_float_ids": "ids such as 3.0 read as 3",
    "unnamed_classes": "classes without a name called by their number",
    "repeated_texts": "repeats of a text left out",
    "edges_of_nodes_left_out": "edges of nodes left out dropped",
    "unknown_endpoints": "edges with an unknown endpoint dropped",
    "self_loops": "self-loops dropped",
    "duplicate_edges": "repeats of an edge left out",
    "reversed_edges": "edges given in both directions kept once",
    "unlabeled_in_split": "nodes without a label taken out of their split",
    "unseen_labels": "nodes whose label train lacks, unlabelled",
    "unknown_targets": "links to packages that the index lacks ignored",
    "older_versions": "older versions of a package ignored",
    "packages_without_text": "packages without a description left out",
    "nodes_beyond_limit": "nodes beyond the limit left out",
}


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of repair."""

    kind: str  # a key of REPAIRS
    count: int
    first: str = ""  # place of the first one, for example "edges.csv:17"

    def __str__(self) -> str:
        where = f" (first: {self.first})" if self.first else ""
        return f"{REPAIRS.get(self.kind, self.kind)}: {self.count:,}{where}"


class RepairLog:
    """Counts repairs, and remembers the first place of each kind."""

    def __init__(self) -> None:
        self.repairs: dict[str, Repair] = {}

    def add(self, kind: str, count: int, first: str = "") -> None:
        """Records `count` repairs of a kind; 0 records nothing."""
        if count:
            known = self.repairs.get(kind, Repair(kind, 0, first))
            self.repairs[kind] = Repair(kind, known.count + count, known.first)

    def notes(self) -> dict[str, int]:
        return {kind: repair.count for kind, repair in self.repairs.items()}
