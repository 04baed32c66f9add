"""The options of `understudy predict` as one record, and what contradicts what among them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from understudy.client import Client, Route
from understudy.folders.places import is_address
from understudy.graph.building.reading import read_of
from understudy.graph.readers.finding import NOT_READ
from understudy.predict.errors import OptionError
from understudy.predict.formats import Format, format_named, format_of
from understudy.predict.sources import TableOptions

STANDARD = Path("-")  # stdin, or stdout


@dataclass(frozen=True)
class PredictOptions:
    """The options of one call.

    Attributes:
        input: None for all unlabelled nodes.
    """

    source: str
    input: Path | None
    out: Path
    table: TableOptions
    route: Route
    top: int
    input_format: str
    output_format: str

    @property
    def is_service(self) -> bool:
        """Whether the source is an address rather than a folder."""
        return is_address(self.source)


def checked_options(
    source: str,
    files: Sequence[str],
    every_unlabeled: bool,
    table: TableOptions,
    route: str,
    top: int,
    formats: tuple[str, str],
) -> PredictOptions:
    """Combines and checks the arguments.

    Raises:
        OptionError: they contradict each other.
    """
    places = [Path(file) for file in files]
    least, most = (0, 1) if every_unlabeled else (1, 2)
    if not least <= len(places) <= most:
        wanted = "at most OUT beside --unlabeled" if every_unlabeled else "IN, and perhaps OUT"
        raise OptionError(f"expected {wanted}; found {' '.join(files) or 'nothing'}")
    if NOT_READ in table.fields.text and len(table.fields.text) > 1:
        raise OptionError(
            "--text-field none excludes any other --text-field; leave one of them out"
        )
    if route not in get_args(Route):
        raise OptionError(f"--route must be student, teacher or auto, not {route!r}")
    source_file = None if every_unlabeled else places[0]
    out = places[-1] if len(places) == most else STANDARD
    same = source_file is not None and os.path.realpath(source_file) == os.path.realpath(out)
    if same and source_file != STANDARD:
        raise OptionError(f"IN and OUT are the same file, {source_file}")
    options = PredictOptions(source, source_file, out, table, cast(Route, route), top, *formats)
    if options.is_service and every_unlabeled:
        raise OptionError(
            "--unlabeled needs a bundle's folder: it reads the nodes of the bundle's graph"
        )
    if not options.is_service and route != "student":
        raise OptionError(f"--route {route} needs a service's address: a bundle has no teacher")
    return options


def read_as_imported(options: PredictOptions, key: str | None, timeout: float) -> PredictOptions:
    """Adds the columns that made the served graph's texts and neighbours to the options.

    A missing bundle is reported later, once the file's own columns are checked.

    Raises:
        BundleError: the bundle is damaged.
        ClientError: no service answers.
    """
    if options.is_service:
        with Client(options.source, key, timeout) as client:
            texts, neighbors = read_of(client.info())
    else:
        texts, neighbors = read_of_bundle(Path(options.source))
    fields = replace(options.table.fields, imported=texts, imported_neighbors=neighbors)
    return replace(options, table=replace(options.table, fields=fields))


def read_of_bundle(folder: Path) -> tuple[tuple[str, ...], str]:
    """Reads which columns made the texts and neighbours of a bundle's graph; empty if no bundle.

    Raises:
        BundleError: it is damaged.
    """
    from understudy.bundle import open_bundle as described  # not needed to ask a service
    from understudy.bundle.reader import MANIFEST

    if not (folder / MANIFEST).is_file():
        return (), ""
    graph = described(folder, verify=False).manifest.graph
    return graph.texts, graph.neighbors


def output_kind(options: PredictOptions, kind: Format | None) -> Format:
    """Chooses the format of the answers."""
    if options.out != STANDARD:
        return format_of(options.out, "OUT")
    if options.output_format:
        return format_named(options.output_format, "--output-format")
    if kind is not None and kind.base == "json":
        return Format("jsonl")
    return Format(kind.base if kind and kind.base != "parquet" else "csv")
