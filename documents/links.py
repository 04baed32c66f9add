"""Checks all links of a built site, including those to pictures and scripts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "img": "src", "script": "src", "link": "href", "iframe": "src"}
MAY_LEAVE = {"a"}  # a reader follows it; everything else a browser fetches by itself
NOT_FETCHED = {"canonical", "prev", "next"}
TOP = {"", "top", "__skip"}


@dataclass(frozen=True)
class Problem:
    """A link that does not work without a network."""

    page: Path
    link: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page}: {self.link} {self.reason}"


@dataclass
class Page(HTMLParser):
    """The links of one page, as (tag, target), and its anchors."""

    links: list[tuple[str, str]] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.names |= {values[key] or "" for key in ("id", "name") if key in values}
        target = values.get(LINKS.get(tag, ""))
        if target is not None and values.get("rel") not in NOT_FETCHED:
            self.links.append((tag, target))


@cache
def page(path: Path) -> Page:
    parsed = Page()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


def problems(site: Path) -> Iterator[Problem]:
    """Yields links to missing files, pages and anchors, and resources from other sites.

    404.html is left out: its links begin at the root of a server.
    """
    page.cache_clear()
    site = site.resolve()
    for path in sorted(site.rglob("*.html")):
        if path.name == "404.html":
            continue
        for tag, link in page(path).links:
            if reason := wrong(site, path, tag, link):
                yield Problem(path.relative_to(site), link, reason)


def wrong(site: Path, path: Path, tag: str, link: str) -> str:
    """Why a link does not work; empty if it does."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return "is no URL"
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        return "" if tag in MAY_LEAVE else "is fetched from elsewhere"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        return "is not there"
    if target.suffix == ".html" and unquote(parts.fragment) not in TOP | page(target).names:
        return "leads to no place in that page"
    return ""
