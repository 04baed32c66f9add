"""The guides, followed word for word: every block of a shell is run as it stands."""

import csv
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import environment

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8000"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SERVE = re.compile(r"^understudy serve [^\n]*$", re.MULTILINE)
SECONDS = 120


@dataclass
class Reader:
    """Somebody who follows a guide in a clone of their own, one shell for what serves."""

    folder: Path
    stack: ExitStack
    url: str = ADDRESS
    service: subprocess.Popen[str] | None = None

    def follow(self, name: str) -> tuple[list[str], dict[str, list[str]]]:
        """What each block of a shell printed, and the other blocks of the page by their kind."""
        page = (ROOT / "docs" / "guides" / name).read_text(encoding="utf-8")
        shown: dict[str, list[str]] = {}
        for kind, block in BLOCK.findall(page):
            shown.setdefault(kind, []).append(block)
        return [self.run(block) for block in shown["sh"]], shown

    def run(self, block: str) -> str:
        before, _, _ = block.partition("understudy serve ")
        serving = SERVE.search(block)
        if serving is None:
            return self.shell(block)
        self.end()
        printed = self.shell(before) if before else ""
        self.service = self.start(serving[0])
        return printed

    def shell(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, self.url)],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{script}\n{done.stderr}"
        return done.stdout

    def start(self, command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command.split(), "--port", "0"],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.stack.callback(self.end)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.split()[2]
        return process

    def end(self) -> None:
        """Ends what serves, at once: as Control-C twice."""
        if self.service is not None:
            self.service.kill()
            self.service.communicate(timeout=SECONDS)
            self.service = None

    def environment(self) -> dict[str, str]:
        """With `understudy` on the path, and nothing kept from other runs."""
        programs = Path(sys.executable).parent
        return {
            **environment(),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "UNDERSTUDY_CACHE": str(self.folder / "cache"),
            "COLUMNS": "200",
        }


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    if not shutil.which("curl"):
        pytest.skip("there is no curl here")
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "examples", folder / "examples")
    with ExitStack() as stack:
        yield Reader(folder, stack)


@pytest.fixture(scope="module")
def tickets(reader: Reader) -> tuple[list[str], dict[str, list[str]]]:
    """The first guide; the others go on with its bundle."""
    return reader.follow("tickets.md")


def labels(text: str) -> list[tuple[str, str]]:
    return [(row["id"], row["label"]) for row in csv.DictReader(io.StringIO(text))]


def test_tickets_in_a_csv(reader: Reader, tickets: tuple[list[str], dict[str, list[str]]]) -> None:
    printed, shown = tickets
    (text,) = shown["text"]
    assert [line for line in text.splitlines() if line not in printed[0].splitlines()] == []
    files, links, new, answers = shown["csv"]
    examples = reader.folder / "examples" / "tickets"
    for file, block in (("tickets.csv", files), ("links.csv", links), ("new.csv", new)):
        assert (examples / file).read_text(encoding="utf-8").startswith(block)
    asked = next(output for output in printed if output.startswith("row,id,label"))
    assert labels(asked) == labels(answers)
    assert len(labels((reader.folder / "unlabelled.csv").read_text())) == 240
    assert '"id":"T-1001"' in printed[-1]
    assert '"error":null' in printed[-1].split('"index":1')[1]


@pytest.mark.usefixtures("tickets")
def test_a_changing_graph(reader: Reader) -> None:
    printed, shown = reader.follow("changing-graph.md")
    acknowledged = [output for output in printed if output.startswith('{"graph_version":')]
    assert acknowledged[:3] == [block.strip() for block in shown["json"]]
    assert '"graph_version":1' in printed[2]  # what was written is read
    refused = next(output for output in printed if '"error":{' in output)
    assert '"position":0' in refused
    assert '"graph_version":3' in printed[-1]  # and is there after the restart
    assert '"label":"billing"' in printed[-1]


@pytest.mark.usefixtures("tickets")
def test_production(reader: Reader) -> None:
    printed, _ = reader.follow("production.md")
    keys = [path.read_text() for path in (reader.folder / "runs" / "tickets").glob("*.key")]
    assert len({key for key in keys if key.startswith("understudy_")}) == 3
    well = printed[2]
    assert '"limits"' in well
    assert "understudy_ready 1.0" in well
    assert '"previous_version":' in printed[3]
