"""Takes the screenshots of the page in docs/pictures, from a served demo.

    understudy teacher-serve runs/demo/teacher --port 8001 &
    understudy serve runs/demo/bundle --teacher-url http://127.0.0.1:8001/v1 \\
        --teacher-input-price 0.1 --teacher-output-price 0.4 &
    python -m benchmarks.page_pictures http://127.0.0.1:8000 docs/pictures

Adds an edge for one of them, and removes it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from playwright.sync_api import Page, sync_playwright

from benchmarks.common.command import run_script

WIDE, LOW = (1280, 1160), (1280, 800)
PHONE = (390, 844)
CHROMIUM = "/usr/bin/chromium"
SECONDS = 20
LARGEST = 400_000  # bytes of a picture

# Of Debian's packages: two where teacher and student agree, two where they differ (one is right,
# then the other), so that none is in the cache; and one that a single edge turns.
AGREED, DIFFERING, TURNED, TURNING = (
    ("wget", "vlc"),
    ("blender", "firefox-esr"),
    "fgallery",
    "adminer",
)


def open_page(page: Page, url: str, node: str) -> None:
    page.goto(f"{url}/?node={node}")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#node h1")
    page.wait_for_selector("#node .explanation")  # comes last


def compare(page: Page) -> None:
    """Shows an answer with its explanation, and the teacher's answer beside it."""
    page.get_by_role("button", name="Open its neighbours").click()
    page.wait_for_selector("#message.shown")
    page.wait_for_selector("#node .explanation")
    page.get_by_role("button", name="Ask the teacher").click()
    page.wait_for_selector("#node .opinion .answer >> nth=1")


def invent(page: Page) -> None:
    page.get_by_role("tab", name="Invent").click()
    page.get_by_role("button", name="Link to the selected node").click()
    page.get_by_label("Its text").fill("fast downloads over HTTP\nFetches many files at a time.")
    page.wait_for_selector("#invented-answer .bars")


def change(page: Page) -> None:
    """Adds an edge that changes an answer; the caller removes it after the picture."""
    page.get_by_role("tab", name="Edges").click()
    page.locator("#target").fill(TURNING)
    page.locator("#target").press("Enter")
    page.get_by_role("button", name="Add the edge").click()
    page.wait_for_selector("#changes .turned")
    page.wait_for_selector(".node.changed", state="detached")


@dataclass(frozen=True)
class Picture:
    name: str
    size: tuple[int, int]  # of the window, in pixels
    scheme: Literal["light", "dark"]
    node: str
    prepare: Callable[[Page], None]


PICTURES = (
    Picture("page-wide-light", WIDE, "light", AGREED[0], compare),
    Picture("page-wide-dark", WIDE, "dark", DIFFERING[0], compare),
    Picture("page-wide-edge", LOW, "dark", TURNED, change),
    Picture("page-phone-light", PHONE, "light", AGREED[1], compare),
    Picture("page-phone-dark", PHONE, "dark", DIFFERING[1], compare),
    Picture("page-phone-invented", PHONE, "light", AGREED[0], invent),
)


def main(
    url: Annotated[str, typer.Argument(help="Of a service that may be changed.")],
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
) -> None:
    """Take the pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for picture in PICTURES:
            width, height = picture.size
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=picture.scheme,
                reduced_motion="reduce",
            )
            context.set_default_timeout(1_000 * SECONDS)
            page = context.new_page()
            open_page(page, url.rstrip("/"), picture.node)
            picture.prepare(page)
            page.wait_for_selector("#message:not(.shown)", state="attached")
            target = folder / f"{picture.name}.png"
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=target, full_page=picture.size == PHONE)
            if picture.prepare is change:
                page.get_by_role("button", name="Undo").click()
                page.get_by_text("is no longer linked to").wait_for()
            context.close()
            size = target.stat().st_size
            if size > LARGEST:
                raise typer.BadParameter(f"{target} has {size:,} bytes, more than {LARGEST:,}")
            typer.echo(f"{target}: {size:,} bytes")
        browser.close()


if __name__ == "__main__":
    run_script(main)
