"""Generates pages of docs/reference from code, and finds code without descriptions."""

from collections.abc import Callable
from pathlib import Path

from documents.errors import DocumentError
from documents.reference.commands import commands_page
from documents.reference.metrics import metrics_page
from documents.reference.pages import Page
from documents.reference.python import python_page
from documents.reference.routes import routes_page
from documents.reference.settings import settings_page

FOLDER = Path("docs/reference")
PAGES: dict[str, Callable[[], Page]] = {
    "commands.md": commands_page,
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "routes.md": routes_page,
    "python.md": python_page,
}


def write_pages(root: Path) -> list[Path]:
    """Writes every page; returns their paths.

    Raises:
        DocumentError: something has no words; nothing is written then.
    """
    pages = {root / FOLDER / name: make() for name, make in PAGES.items()}
    if missing := [what for page in pages.values() for what in page.missing]:
        raise DocumentError("without a word of help: " + ", ".join(missing))
    for path, page in pages.items():
        path.write_text(page.text, encoding="utf-8")
    return list(pages)
