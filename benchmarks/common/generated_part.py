"""The part of a page that a command writes, between two marks that name the command."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from understudy.graph.files import atomic_file

PAGE = Path(__file__).parents[2] / "docs" / "results.md"


@dataclass(frozen=True, slots=True)
class GeneratedPart:
    command: str  # such as python -m benchmarks.accuracy

    @property
    def start(self) -> str:
        return f"<!-- written by `{self.command}`: begin -->"

    @property
    def end(self) -> str:
        return f"<!-- written by `{self.command}`: end -->"

    def split(self, text: str, name: str) -> tuple[str, str, str]:
        """Splits a page at its marks: the text before, between and after them.

        Raises:
            BenchmarkError: the page lacks one.
        """
        before, start, rest = text.partition(self.start)
        between, end, behind = rest.partition(self.end)
        if not start or not end:
            raise BenchmarkError(
                f"{name} lacks one of the lines {self.start} and {self.end}; put them back"
            )
        return before, between.strip(), behind

    def put(self, page: Path, body: str) -> Path:
        """Writes a body between the marks of a page.

        Raises:
            BenchmarkError: the page lacks one.
        """
        before, _, behind = self.split(page.read_text(encoding="utf-8"), page.name)
        with atomic_file(page) as temporary:
            whole = f"{before}{self.start}\n\n{body}\n\n{self.end}{behind}"
            temporary.write_text(whole, encoding="utf-8")
        return page
