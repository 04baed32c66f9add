"""Constructors of a graph from data in memory; `TextGraph` inherits them.

The rules for labels, missing values, ids and splits are those of `understudy data import`: see
docs/guides/data.md. An error names the row and the column.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.graph.building.builder import Rules
    from understudy.graph.text_graph import TextGraph


class FromMemory:
    """Graphs from arrays, tables and other libraries' graphs; no file is read or written."""

    @staticmethod
    def from_arrays(
        texts: Sequence[str | None],
        edges: Any,
        *,
        ids: Any = None,
        labels: Any = None,
        label_names: Any = None,
        splits: Mapping[str, Any] | None = None,
        groups: Any = None,
        name: str = "graph",
        rules: "Rules | None" = None,
    ) -> "TextGraph":
        """A graph from arrays, tensors or lists, with one value per node.

        Args:
            texts: N strings; the first line of each is its title.
            edges: pairs [E, 2] of ids, or of positions if no `ids` are given.
            ids: N distinct strings, whole numbers or UUIDs; by default the positions.
            labels: N names or class numbers; None, NaN, a masked or a negative number means no
                label.
            label_names: for class numbers: a list by class, a mapping from number to name, or a
                pandas column indexed by the numbers.
            splits: train, val and test, each as a mask [N] or as positions, even if there are
                `ids`; drawn if None.
            groups: N names; a drawn split keeps the nodes of one group together.
            rules: how to handle bad records, and how to draw a split.

        Columns of pandas are read by position, and refused if their indexes differ.

        Raises:
            BadInputError: a value that `rules` does not repair; the message names its node.
        """
        from understudy.graph.readers.memory import graph_from_arrays

        return graph_from_arrays(
            texts, edges, ids, labels, label_names, splits, groups, name, rules
        )

    @staticmethod
    def from_pandas(
        nodes: Any,
        edges: Any = None,
        *,
        id_field: str = "",
        text_field: str | Sequence[str] = (),
        label_field: str = "",
        split_field: str = "",
        group_field: str = "",
        neighbors_field: str = "",
        source_field: str = "",
        target_field: str = "",
        name: str = "graph",
        rules: "Rules | None" = None,
    ) -> "TextGraph":
        """A graph from a DataFrame of nodes and one of edges.

        Accepts any table that Arrow reads: pandas, Polars, Arrow, DuckDB, a dict of columns.

        Args:
            nodes: one row per node.
            edges: one row per edge; without it, a column of `nodes` lists their neighbours.
            id_field: this and the other fields: the name of a column; empty: searched among the
                usual names, none: not read. Several texts are joined, one per line.
            rules: how to handle bad records, and how to draw a split.

        Raises:
            BadInputError: a value that `rules` does not repair; the message names its row, from 1,
                and its column.
        """
        from understudy.graph.readers.fields import EdgeFields, NodeFields
        from understudy.graph.readers.memory import graph_from_tables

        fields = NodeFields(
            id_field, names_in(text_field), label_field, split_field, group_field, neighbors_field
        )
        edge_fields = EdgeFields(source_field, target_field)
        return graph_from_tables(nodes, edges, fields, edge_fields, name, rules)

    @staticmethod
    def from_networkx(
        graph: Any,
        *,
        text_field: str | Sequence[str] = (),
        label_field: str = "",
        split_field: str = "",
        group_field: str = "",
        name: str = "graph",
        rules: "Rules | None" = None,
    ) -> "TextGraph":
        """A graph from a NetworkX graph, whose nodes have their text and label as attributes.

        The nodes themselves are the ids: strings, whole numbers or UUIDs. Directions are dropped.

        Args:
            text_field: this and the other fields: the name of an attribute, as in `from_pandas`.
            rules: how to handle bad records, and how to draw a split.

        Raises:
            BadInputError: a value that `rules` does not repair; the message names its node, from 1,
                and its attribute.
        """
        from understudy.graph.readers.fields import NodeFields
        from understudy.graph.readers.memory import graph_from_networkx

        fields = NodeFields("", names_in(text_field), label_field, split_field, group_field)
        return graph_from_networkx(graph, fields, name, rules)

    @staticmethod
    def from_pyg(
        data: Any,
        texts: Sequence[str | None] | None = None,
        *,
        text_key: str = "",
        label_key: str = "",
        label_names_key: str = "",
        mask_column: int = 0,
        name: str = "graph",
        rules: "Rules | None" = None,
    ) -> "TextGraph":
        """A graph from a PyG `Data` object, or a dict of tensors like it.

        Args:
            texts: N strings, if the object has none.
            text_key: this and the other keys: the name of an attribute; empty: searched among the
                usual names.
            mask_column: which split to use if the masks hold several.
            rules: how to handle bad records, and how to draw a split.

        Raises:
            BadInputError: a value that `rules` does not repair; the message names its node, from 0,
                and its attribute.
        """
        from understudy.graph.readers.memory import graph_from_pyg
        from understudy.graph.readers.pyg import PygKeys

        keys = PygKeys(text_key, label_names_key, mask_column, label_key)
        return graph_from_pyg(data, texts, keys, name, rules)


def names_in(field: Any) -> tuple[str, ...]:
    """A tuple of one or several column or attribute names; empty names are dropped.

    Raises:
        BadInputError: it is something else, such as a column's number.
    """
    from understudy.graph.errors import BadInputError

    names = (field,) if isinstance(field, str) else field
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise BadInputError(f"text_field must be a name or a list of names, not {field!r:.60}")
    return tuple(name for name in names if name)
