"""Text-attributed graphs: types, readers, folder format, neighbourhoods, prompts and hashing."""

from understudy.graph.csr import Adjacency, build_adjacency
from understudy.graph.errors import BadInputError, GraphError, GraphFormatError, SourceError
from understudy.graph.folder import load_graph, read_meta, save_graph
from understudy.graph.splits import check_split, random_split
from understudy.graph.text_graph import UNLABELED, TextGraph, string_array

__all__ = [
    "UNLABELED",
    "Adjacency",
    "BadInputError",
    "GraphError",
    "GraphFormatError",
    "SourceError",
    "TextGraph",
    "build_adjacency",
    "check_split",
    "load_graph",
    "random_split",
    "read_meta",
    "save_graph",
    "string_array",
]
