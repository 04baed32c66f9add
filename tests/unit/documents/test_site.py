"""The site is strict about links, needs no network, and shows every page."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from documents.errors import DocumentError
from documents.links import problems
from documents.site import CONFIGURATION, PARTS, ROOT, build_site

MENTION = re.compile(r"\bdocs/[\w./-]+\.md\b")
CHANGELOG = Path("CHANGELOG.md")  # of releases, whose pages had other places


def test_every_page_is_in_the_order_of_the_site() -> None:
    configuration = tomllib.loads((ROOT / CONFIGURATION).read_text(encoding="utf-8"))
    shown = list(paths(configuration["project"]["nav"]))
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert there == {path for path in shown if path.startswith("docs/")}
    assert len(shown) == len(set(shown))


def paths(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    entries = nav.values() if isinstance(nav, dict) else nav
    return [path for entry in entries for path in paths(entry)]


def test_a_broken_link_between_pages_fails(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for part in PARTS:
        if "." in part or part == "LICENSE":
            (root / part).parent.mkdir(parents=True, exist_ok=True)
            (root / part).write_text("# A page\n\n[there](nowhere.md)\n", encoding="utf-8")
        else:
            (root / part).mkdir(parents=True)
    (root / CONFIGURATION).write_text(
        '[project]\nsite_name = "A site"\ndocs_dir = "source"\nsite_dir = "site"\n'
        'nav = [{ "A page" = "README.md" }]\n',
        encoding="utf-8",
    )
    with pytest.raises(DocumentError, match="page does not exist"):
        build_site(tmp_path / "built", root)


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ('<a href="other.html">', ""),
        ('<a href="other.html#place">', ""),
        ('<a href="https://example.com/">', ""),
        ('<a href="../outside.html">', "is not there"),
        ('<a href="missing.txt">', "is not there"),
        ('<a href="other.html#nowhere">', "leads to no place in that page"),
        ('<script src="https://example.com/a.js">', "is fetched from elsewhere"),
        ('<link rel="stylesheet" href="//example.com/a.css">', "is fetched from elsewhere"),
        ('<img src="missing.png">', "is not there"),
        ('<a href="http://[">', "is no URL"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str, reason: str) -> None:
    (tmp_path / "outside.html").write_text("")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(link)
    (tmp_path / "site" / "other.html").write_text('<p id="place">')
    assert [problem.reason for problem in problems(tmp_path / "site")] == [reason][: len(reason)]


def test_every_page_that_is_mentioned_is_there() -> None:
    listed = subprocess.run(
        ["git", "grep", "-IlE", "docs/.*[.]md"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode not in (0, 1):
        pytest.skip("this is no clone")
    files = [Path(line) for line in listed.stdout.splitlines() if Path(line) != CHANGELOG]
    missing = [
        f"{file}: {mention}"
        for file in files
        for mention in MENTION.findall((ROOT / file).read_text(encoding="utf-8"))
        if not (ROOT / mention).is_file()
    ]
    assert missing == []
