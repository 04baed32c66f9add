"""Saves a graph in memory to the folder that later steps read."""

import os
from pathlib import Path
from urllib.parse import quote

from understudy.graph.errors import BadInputError
from understudy.graph.files import cache_folder
from understudy.graph.folder import read_meta, save_graph
from understudy.graph.lineage import lineage_of, lineage_value
from understudy.graph.settled import settled
from understudy.graph.text_graph import TextGraph

GraphSource = TextGraph | Path | str  # in memory, or a folder
NAME_CHARACTERS = 100  # of a graph's name in its folder's name


def graph_folder(graph: GraphSource) -> Path:
    """The folder of a graph; a graph in memory is written into the cache once.

    Raises:
        BadInputError: it is neither, or a field of the graph does not fit the others.
        GraphFormatError: the cached folder is damaged.
        FolderError: the cache cannot be written.
    """
    if isinstance(graph, str | os.PathLike):
        return Path(graph)
    if not isinstance(graph, TextGraph):
        raise BadInputError(
            "expected a graph, such as Graph.from_pandas makes, or the folder of one; found "
            f"{type(graph).__name__}"
        )
    graph = settled(graph)
    name = f"{quote(graph.name, safe='')[:NAME_CHARACTERS]}-{graph.content_hash[:32]}"
    folder = cache_folder() / "graphs" / name
    kept = read_meta(folder) if folder.is_dir() else {}
    wanted = (graph.content_hash, lineage_value(lineage_of(graph)), dict(graph.reading))
    if (kept.get("content_hash"), kept.get("lineage"), kept.get("reading", {})) != wanted:
        save_graph(graph, folder)
    return folder
