"""The generated pages of docs/reference are up to date, and no description is missing."""

import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from documents.errors import DocumentError
from documents.reference import FOLDER, PAGES, write_pages
from documents.reference.commands import option_row
from documents.reference.metrics import figures
from documents.reference.pages import Page
from service.app import ROUTES, create_app
from service.settings import Settings
from tests.bundles import TinyBundle
from understudy.engine import Engine

ROOT = Path(__file__).parents[3]
WRITTEN_BY = (3, 11)


@pytest.fixture(scope="module")
def pages() -> dict[str, Page]:
    return {name: make() for name, make in PAGES.items()}


def test_everything_has_words(pages: dict[str, Page]) -> None:
    assert [what for page in pages.values() for what in page.missing] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str, pages: dict[str, Page]) -> None:
    if name == "python.md" and sys.version_info[:2] != WRITTEN_BY:
        pytest.skip("signatures look otherwise in another Python than the one that wrote them")
    committed = (ROOT / FOLDER / name).read_text(encoding="utf-8")
    assert committed == pages[name].text, "run `python -m documents reference`"


def test_every_setting_and_every_route_has_its_line(pages: dict[str, Page]) -> None:
    for name in Settings.model_fields:
        assert f"| `UNDERSTUDY_{name.upper()}` |" in pages["settings.md"].text
    for route in ROUTES:
        if route.include_in_schema:
            assert route.path_format in pages["routes.md"].text


def test_every_metric_that_prometheus_sees_is_told(tiny_bundle: TinyBundle) -> None:
    documented = {figure.name.removesuffix("_total") for figure in figures()}
    with Engine.open(tiny_bundle.folder) as engine:
        registry = create_app(engine, Settings()).parts.metrics.registry
        seen = {family.name for family in registry.collect()}
    assert len(seen) > 20
    assert {name for name in seen if not name.startswith("process_")} <= documented


def test_what_has_no_words_is_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(silent: int = 1) -> None:
        """A command."""

    app = typer.Typer()
    app.command()(command)
    page = Page("A page")
    (silent,) = [p for p in get_command(app).params if p.name == "silent"]
    assert option_row(page, "command", silent) == ("`--silent`", "whole number", "`1`", "")
    assert page.missing == ["command --silent"]
    monkeypatch.setitem(PAGES, "settings.md", lambda: page)
    for name in PAGES.keys() - {"settings.md"}:
        monkeypatch.delitem(PAGES, name)
    with pytest.raises(DocumentError, match="command --silent"):
        write_pages(tmp_path)
    assert list(tmp_path.rglob("*.md")) == []
