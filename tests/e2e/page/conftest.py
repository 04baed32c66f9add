"""A real browser, and a service that tests may change."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MILLISECONDS = 20_000
WIDE = {"width": 1280, "height": 800}
READY = "body[data-ready]"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Opens pages; fails where one asks beyond loopback, or a script of ours failed."""
    contexts, faults = [], []

    def note(request: Any) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            faults.append(f"asked {request.url}")

    def opened(url: str, wait: str = READY, **options: Any) -> Any:
        options = {"viewport": WIDE, "reduced_motion": "reduce", **options}
        context = browser.new_context(**options)
        context.set_default_timeout(MILLISECONDS)
        context.on("request", note)
        context.on("weberror", lambda error: faults.append(str(error.error)))
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        page.wait_for_selector(wait)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def own(tiny_bundle: TinyBundle) -> Iterator[Service]:
    """A service that these tests may change; a request holds few nodes."""
    with serving(tiny_bundle.folder, "--max-nodes", "12") as running:
        yield running


def heading(page: Any) -> str:
    return str(page.locator("#node h1").inner_text())


def choose(page: Any, field: str, words: str) -> None:
    """Types, waits for a suggestion, and takes the first by keyboard."""
    page.locator(field).fill(words)
    page.locator(f"{field}-list [role=option]").first.wait_for()
    page.locator(field).press("ArrowDown")
    page.locator(field).press("Enter")
