"""Takes the pictures of the page that are in docs/pictures, of a service that runs.

    understudy serve runs/demo/bundle &
    python -m benchmarks.page_pictures http://127.0.0.1:8000 docs/pictures

Adds an edge for one of them, and removes it again.
"""

from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Page, sync_playwright

WIDE = (1280, 800)
PHONE = (390, 844)
CHROMIUM = "/usr/bin/chromium"
SECONDS = 20
LARGEST = 300_000  # bytes of a picture

# Of Debian's packages: one with a clear neighbourhood, and one that a single edge turns.
SHOWN, TURNED, TURNING = "curl", "fgallery", "adminer"


def open_page(page: Page, url: str, node: str) -> None:
    page.goto(f"{url}/?node={node}")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#node h1")
    page.wait_for_load_state("networkidle")  # the reasons of the answer come last, where there are


def look(page: Page) -> None:
    """The node as it is."""
    page.get_by_role("button", name="Open its neighbours").click()
    page.wait_for_selector("#said:not(.shown)", state="attached")


def invent(page: Page) -> None:
    page.get_by_role("tab", name="Invent").click()
    page.get_by_role("button", name="Link to the selected node").click()
    page.get_by_label("Its text").fill("fast downloads over HTTP\nFetches many files at a time.")
    page.wait_for_selector("#invented-answer .bars")
    page.wait_for_selector("#said:not(.shown)", state="attached")


def change(page: Page) -> None:
    """An edge that turns an answer; whoever takes the picture removes it again."""
    page.get_by_role("tab", name="Edges").click()
    page.locator("#target").fill(TURNING)
    page.locator("#target").press("Enter")
    page.get_by_role("button", name="Add the edge").click()
    page.wait_for_selector("#changes .turned")
    page.wait_for_selector(".node.changed", state="detached")
    page.wait_for_selector("#said:not(.shown)", state="attached")


PICTURES = [
    ("page-wide-light", WIDE, "light", SHOWN, look),
    ("page-wide-dark", WIDE, "dark", TURNED, change),
    ("page-phone-light", PHONE, "light", SHOWN, invent),
    ("page-phone-dark", PHONE, "dark", SHOWN, look),
]


def main(
    url: Annotated[str, typer.Argument(help="Of a service that may be changed.")],
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")],
) -> None:
    """Take four pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, (width, height), scheme, node, prepare in PICTURES:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                reduced_motion="reduce",
            )
            context.set_default_timeout(1_000 * SECONDS)
            page = context.new_page()
            open_page(page, url.rstrip("/"), node)
            prepare(page)
            target = folder / f"{name}.png"
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=target, full_page=width == PHONE[0])
            if prepare is change:
                page.get_by_role("button", name="Undo").click()
                page.get_by_text("is no longer linked to").wait_for()
            context.close()
            size = target.stat().st_size
            if size > LARGEST:
                raise typer.BadParameter(f"{target} has {size:,} bytes, more than {LARGEST:,}")
            typer.echo(f"{target}: {size:,} bytes")
        browser.close()


if __name__ == "__main__":
    typer.run(main)
