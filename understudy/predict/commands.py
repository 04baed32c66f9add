"""`understudy predict`: answers for a whole file, or for all nodes without a label."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import typer

from understudy.command_line.option_groups import with_options
from understudy.counting import counted
from understudy.folders.places import path_problem
from understudy.folders.temporary import temporary_errors, temporary_folder
from understudy.graph.command_options import Delimiter, HasHeader, TextField
from understudy.graph.files import file_digest
from understudy.graph.readers.dialects import parse_delimiter
from understudy.predict.answerer_options import AnswererFlags, check_answerer, open_answerer
from understudy.predict.answering import Answerer, InProcess
from understudy.predict.columns import QueryFields
from understudy.predict.errors import OptionError, OutputError
from understudy.predict.formats import (
    Format,
    check_output_format,
    encode,
    format_named,
    format_of,
    head,
)
from understudy.predict.options import (
    STANDARD,
    PredictOptions,
    checked_options,
    output_kind,
    read_as_imported,
)
from understudy.predict.output import check_place, left_by_others, open_parts
from understudy.predict.rows import Row
from understudy.predict.run import Problems, Run
from understudy.predict.sources import (
    STDIN,
    TableOptions,
    read_rows,
    stdin_rows,
    unlabeled,
    unlabeled_rows,
)
from understudy.predict.unread import refuse_unread
from understudy.progress import terminal_progress
from understudy.standard_streams import CLOSED


@with_options("flags", AnswererFlags)
def predict(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE|URL",
            help="Bundle folder, which is opened in this process, or the address of a service.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN [OUT]",
            help="File to classify and file for the answers: .csv, .tsv, .jsonl or .parquet, also "
            "compressed; IN may be .json, too. - is stdin or stdout. Without OUT, answers go "
            "to stdout.",
        ),
    ] = None,
    *,
    every_unlabeled: Annotated[
        bool,
        typer.Option(
            "--unlabeled",
            help="Classify all nodes of the bundle's graph that have no label, instead of IN.",
        ),
    ] = False,
    top: Annotated[
        int, typer.Option(min=1, help="Number of labels to list for each row, best first.")
    ] = 1,
    route: Annotated[
        str, typer.Option(help="Who answers, if a service is asked: student, teacher or auto.")
    ] = "student",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first row that cannot be answered.")
    ] = False,
    id_field: Annotated[
        str, typer.Option(help="Column with the ids of stored nodes; none: read none.")
    ] = "",
    text_field: TextField = None,
    neighbors_field: Annotated[
        str, typer.Option(help="Column with the ids of a text's neighbours; none: read none.")
    ] = "",
    delimiter: Delimiter = "",
    header: HasHeader = None,
    input_format: Annotated[
        str, typer.Option(help="Format of stdin: csv, tsv, jsonl, json or parquet.")
    ] = "csv",
    output_format: Annotated[
        str,
        typer.Option(help="Format of stdout: csv, tsv, jsonl or parquet; by default that of IN."),
    ] = "",
    flags: AnswererFlags,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,
) -> None:
    """Classify the rows of a file; the same command resumes a killed run.

    A row is the id of a stored node, or a text with the ids of its neighbours. A row that cannot
    be answered gets an error and is reported; with --strict it ends the run.
    """
    options = checked_options(
        source,
        files or [],
        every_unlabeled,
        TableOptions(
            QueryFields(id_field, tuple(text_field or ()), neighbors_field),
            parse_delimiter(delimiter),
            header,
        ),
        route,
        top,
        (input_format, output_format),
    )
    check_answerer(options, flags)
    with terminal_progress() as progress, opened_input(options) as (data, kind):
        stdin, stdout = options.input == STANDARD, options.out == STANDARD
        refuse_unread(context, options.is_service, kind, stdin, stdout)
        out_kind = output_kind(options, kind)
        check_output_format(out_kind, options.out)
        check_destination(options.out, force)
        rows, total = None, 0  # a file's number of rows is unknown
        if data is not None and kind is not None:
            options = read_as_imported(options, flags.key, flags.timeout)
            read = stdin_rows if stdin else read_rows
            rows = begun(read(data, kind, options.table, tell, progress))
        if options.is_service and "://" not in source:
            tell(f"asking http://{source}")
        with open_answerer(options, flags, progress) as answerer:
            if rows is None:
                rows, total = rows_without_label(answerer)
            run = Run(answerer, top, Problems(strict, tell), progress, total)
            if stdout:
                write_stdout(run, rows, out_kind)
            else:
                about = (answerer.model, options, strict, data and file_digest(data))
                write_file(run, rows, options, out_kind, about)


@contextmanager
def opened_input(options: PredictOptions) -> Iterator[tuple[Path | None, Format | None]]:
    """Yields the input as a file, with its format; stdin is copied to a temporary file."""
    if options.input is None:
        yield None, None
    elif options.input != STANDARD:
        if problem := path_problem(options.input):
            raise OptionError(problem)
        if not options.input.is_file():
            raise OptionError(
                f"{options.input} is not a file; to read a pipe, give - and --input-format"
            )
        yield options.input, format_of(options.input, "IN")
    else:
        kind = format_named(options.input_format, "--input-format")
        with temporary_folder() as folder:
            path = folder / f"{STDIN}{kind.suffix}"
            with temporary_errors(folder), path.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield path, kind


def check_destination(out: Path, force: bool) -> None:
    """Refuses a place for the answers that cannot be written; see `check_place`.

    Raises:
        OutputError: stdout is closed.
    """
    if out != STANDARD:
        check_place(out, force)
    elif "stdout" in CLOSED:
        raise OutputError("stdout is closed, so answers cannot be written there; give OUT")


def begun(rows: Iterator[Row]) -> Iterator[Row]:
    """Reads the first row at once, so that wrong columns are reported before a bundle is opened."""
    return chain(list(islice(rows, 1)), rows)


def rows_without_label(answerer: Answerer) -> tuple[Iterator[Row], int]:
    """Yields all nodes without a label; returned with their number."""
    assert isinstance(answerer, InProcess)
    graph = answerer.engine.state.graph
    count = len(unlabeled(graph))
    if not count:
        tell("every node of the bundle's graph has a label, so there is nothing to classify")
    return unlabeled_rows(graph), count


def write_stdout(run: Run, rows: Iterator[Row], kind: Format) -> None:
    """Writes every part as soon as it is complete; Parquet at the end, as a whole."""
    with_top = run.top_k > 1
    if kind.base == "parquet":
        put(encode([a for part in run.parts(rows) for a in part], kind, with_top))
    else:
        put(head(kind, with_top))
        for part in run.parts(rows):
            put(encode(part, kind, with_top))
    tell(summary(run.problems, "answers are on stdout"))


def put(content: bytes) -> None:
    """Writes to stdout.

    Raises:
        OutputError: it is full, or fails otherwise.
        BrokenPipeError: the reader has closed it.
    """
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"stdout cannot be written: {error.strerror}") from error


def write_file(
    run: Run, rows: Iterator[Row], options: PredictOptions, kind: Format, about: Sequence[object]
) -> None:
    """Writes parts, and joins them at the end."""
    with open_parts(options.out, kind, run.top_k > 1, about) as parts:
        for folder in left_by_others(parts):
            tell(
                f"{folder} holds unfinished answers for another input, other options or another "
                "model; remove it if nobody needs it"
            )
        done, run.problems.count = parts.done()
        if done:
            tell(f"{done:,} rows are answered already; continuing with the next")
        for part in run.parts(rows, done):
            parts.add(done, part)
            done += len(part)
        parts.finish()
    tell(summary(run.problems, f"{options.out}: {counted(done, 'row')}"))


def summary(problems: Problems, words: str) -> str:
    if not problems.count:
        return words
    first = f", the first of this run: {problems.first}" if problems.first else ""
    return f"{words}; {problems.count:,} of them could not be answered (column error){first}"


def tell(words: str) -> None:
    typer.echo(words, err=True)
