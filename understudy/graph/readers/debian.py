"""The package graph of Debian or Ubuntu, from the machine's own apt index."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from understudy.graph.building.builder import Built, Rules, build_graph
from understudy.graph.building.records import ColumnCollector, EdgeTable, NodeTable, Source
from understudy.graph.building.repairs import Repair
from understudy.graph.readers.apt import AptIndex, fetch_index, read_index_file
from understudy.graph.readers.debian_control import (
    Package,
    clean_description,
    newest,
    package_of,
    translation_of,
)
from understudy.graph.selection import connected_part
from understudy.graph.splits import random_split
from understudy.graph.text_graph import with_used_labels
from understudy.progress import Progress, silent

WELL_KNOWN = (
    "curl",
    "libc6",
    "bash",
    "coreutils",
    "python3",
    "git",
    "openssh-client",
    "vim",
    "gcc",
    "perl",
    "nginx",
    "postgresql",
)


def debian_graph(
    folder: Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
    offline: bool = False,
    progress: Progress = silent,
) -> Built:
    """Fetches the index into `folder` and builds its graph, or a connected part of it.

    Args:
        limit: maximum number of nodes.

    Raises:
        SourceError: no apt, no index, or no network on the first call.
    """
    index = fetch_index(folder, offline, progress)
    packages, older = read_packages(index, progress)
    descriptions = read_descriptions(index, packages, progress)
    built = package_graph(packages, descriptions, f"apt index of {index.release}", seed, fractions)
    repairs = [Repair("older_versions", older)] if older else []
    repairs.extend(built.repairs)
    if limit is not None and limit < built.graph.num_nodes:
        progress("choose a connected part", 0, 1)
        nodes = connected_part(built.graph, limit, WELL_KNOWN)
        repairs.append(Repair("nodes_beyond_limit", built.graph.num_nodes - len(nodes)))
        graph = with_used_labels(built.graph.subgraph(nodes))
        splits = random_split(graph.labels, fractions, seed, graph.groups)
        built = replace(built, graph=replace(graph, splits=splits))
        progress("choose a connected part", 1, 1)
    return built.with_repairs(repairs)


def read_packages(index: AptIndex, progress: Progress) -> tuple[dict[str, Package], int]:
    """The newest version of every package, by name, and the number of older records."""
    packages: list[Package] = []
    for position, file in enumerate(index.packages):
        progress("read packages", position, len(index.packages))
        parsed = (package_of(stanza) for stanza in read_index_file(file.path))
        packages += [package for package in parsed if package is not None]
    progress("read packages", len(index.packages), len(index.packages))
    return newest(packages)


def read_descriptions(
    index: AptIndex, packages: Mapping[str, Package], progress: Progress
) -> dict[str, str]:
    """Package name → English description, of exactly the version in `packages`."""
    descriptions: dict[str, str] = {}
    for position, file in enumerate(index.translations):
        progress("read descriptions", position, len(index.translations))
        for stanza in read_index_file(file.path):
            name, key, description = translation_of(stanza)
            package = packages.get(name)
            if package is not None and package.description_key == key:
                descriptions[name] = description
    progress("read descriptions", len(index.translations), len(index.translations))
    return descriptions


def package_graph(
    packages: Mapping[str, Package],
    descriptions: Mapping[str, str],
    source: str,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.6, 0.2, 0.2),
) -> Built:
    """Builds the graph: nodes in alphabetical order, groups are source packages."""
    ordered = [packages[name] for name in sorted(packages)]
    nodes = ColumnCollector(5)
    edges = ColumnCollector(2)
    for number, package in enumerate(ordered, 1):
        text = clean_description(descriptions.get(package.name) or package.description)
        section = package.section or None
        nodes.add(number, (package.name, text, section, None, package.source))
        for link in package.links:
            edges.add(number, (package.name, link))
    place = Source("apt index", "package")
    node_places, node_columns = nodes.finish()
    edge_places, edge_columns = edges.finish()
    node_table = NodeTable(place, node_places, *node_columns)
    edge_table = EdgeTable(place, edge_places, *edge_columns)
    rules = Rules(skip_unknown=True, missing_text="skip", seed=seed, fractions=fractions)
    built = build_graph([node_table], [edge_table], name="debian", source=source, rules=rules)
    return built.with_repairs(in_our_words(built.repairs))


def in_our_words(repairs: Sequence[Repair]) -> list[Repair]:
    """Renames repairs to their meaning in a package index, where places are meaningless."""
    kinds = {
        "unknown_endpoints": "unknown_targets",
        "nodes_without_text": "packages_without_text",
    }
    return [Repair(kinds.get(repair.kind, repair.kind), repair.count) for repair in repairs]
