"""`python -m documents …`: generates the reference pages, and builds the site."""

import http.server
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from documents.errors import DocumentError
from documents.site import ROOT, build_site

documents = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The reference from code, and the site.",
)
FOLDER = ROOT / "build" / "docs"


@documents.command()
def reference() -> None:
    """Write the pages of docs/reference that are generated from code."""
    from documents.reference import write_pages

    for path in write_pages(ROOT):
        typer.echo(path.relative_to(ROOT))


@documents.command()
def site(
    serve: Annotated[bool, typer.Option("--serve", help="Then show it to a browser.")] = False,
    port: Annotated[int, typer.Option(help="Where to show it.", min=0, max=65_535)] = 8008,
) -> None:
    """Build the site; a broken link is an error."""
    built = build_site(FOLDER)
    typer.echo(f"{built.relative_to(ROOT)}/index.html")
    if serve:
        show(built, port)


def show(built: Path, port: int) -> None:
    """Serves a folder on loopback until it is interrupted."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=built)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        typer.echo(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()


def main() -> None:
    """Runs one command; errors are printed without a stack trace."""
    try:
        documents()
    except DocumentError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
