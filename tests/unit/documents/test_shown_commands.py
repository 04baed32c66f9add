"""Every command in the documentation exists, and has the options shown."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from documents.reference.commands import all_commands

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
COMMAND = re.compile(r"(?:^|^\$ |`)understudy ([^`\n]+)", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
END = re.compile(r" [|>#] | {2,}#| && ")  # of what belongs to the command
OF_ALL = {"--help", "--version"}


@pytest.fixture(scope="module")
def options() -> dict[str, set[str]]:
    """Of each command its options."""
    return {
        name: {
            option
            for parameter in command.params
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for name, command in all_commands()
    }


def shown(page: str) -> Iterator[str]:
    """What follows `understudy` in the code of a page."""
    for code in CODE.findall(page):
        for words in COMMAND.findall(code):
            yield END.split(words)[0]


def wrong(words: str, options: dict[str, set[str]]) -> list[str]:
    """The command that there is none of, or the options that it lacks."""
    first, *rest = words.split()
    names = [first, f"{first} {rest[0]}"] if rest else [first]
    groups = {name.split()[0] for name in options}
    known = [options[name] for name in names if name in options]
    if not known:
        placeholder = not first.islower() or first in groups or first in OF_ALL
        return [] if placeholder else [first]
    return [option for option in OPTION.findall(words) if option not in known[0] | OF_ALL]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_shows_commands_that_there_are(page: Path, options: dict[str, set[str]]) -> None:
    found = [
        f"understudy {words}: {', '.join(bad)}"
        for words in shown(page.read_text(encoding="utf-8"))
        if (bad := wrong(words, options))
    ]
    assert found == []


def test_what_is_no_command_is_found(options: dict[str, set[str]]) -> None:
    page = (
        "`understudy teach G T --hops 0` ```\n$ understudy learn G\nunderstudy key K --nmae me\n```"
    )
    assert [wrong(words, options) for words in shown(page)] == [[], ["learn"], ["--nmae"]]
    assert wrong("data import OUT --label-feild team", options) == ["--label-feild"]
    assert wrong("serve BUNDLE --port 0 --max-nodes 5", options) == []
