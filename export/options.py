"""The options of `export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from export.errors import ExportError, StaleError
from understudy.folders.names import name_problem

EncoderPrecision = Literal["auto", "fp32", "int8"]
STUDENT_PRECISIONS = ("int8", "fp16")  # in addition to float32


@dataclass(frozen=True, slots=True)
class ExportOptions:
    graph: Path | None = None  # the graph folder, if it was moved
    encoder_path: Path | None = None  # MiniLM's folder, if it is not installed
    name: str | None = None  # model name; default: of the graph and the student
    encoder_precision: EncoderPrecision = "auto"  # auto: int8 if it passes its gate
    student_precisions: tuple[str, ...] = ()  # int8, fp16: also write the student in these

    def __post_init__(self) -> None:
        """Refuses unknown words, and drops duplicate precisions.

        Raises:
            ExportError: names the word, and the alternatives.
        """
        if self.encoder_precision not in get_args(EncoderPrecision):
            raise ExportError(
                f"unknown encoder precision {self.encoder_precision!r}; choose from "
                f"{', '.join(get_args(EncoderPrecision))}"
            )
        for precision in self.student_precisions:
            if precision not in STUDENT_PRECISIONS:
                raise ExportError(f"unknown precision {precision!r}; choose int8 or fp16")
        if self.name is not None and not (self.name.strip() and self.name.isprintable()):
            raise ExportError(f"a model's name must be a line of text, not {self.name!r}")
        if self.name is not None and (problem := name_problem(self.name)):
            raise ExportError(f"a model's name {problem}; give a shorter one")
        object.__setattr__(
            self, "student_precisions", tuple(dict.fromkeys(self.student_precisions))
        )

    def check_encoder(self, kind: str) -> None:
        """Refuses options for a text encoder that the student does not have.

        Args:
            kind: of the student's encoder, minilm or hashing.

        Raises:
            ExportError: hashed texts have neither a folder nor a network in 8 bits.
        """
        options = {
            "--encoder-path": self.encoder_path is not None,
            "--encoder-precision int8": self.encoder_precision == "int8",
        }
        if kind == "hashing" and (unread := [option for option, on in options.items() if on]):
            raise ExportError(
                "the student reads hashed texts and has no text encoder; leave "
                f"{' and '.join(unread)} out"
            )

    def graph_folder(self, trained_on: str) -> Path:
        """The folder of the student's graph.

        Args:
            trained_on: where it was when the student was trained.

        Raises:
            StaleError: it is no longer there, and no other folder was given.
        """
        if self.graph is None and not (Path(trained_on) / "meta.json").is_file():
            raise StaleError(
                f"{trained_on}, where the student's graph was, is no longer a graph folder; give "
                "its new place with --graph"
            )
        return self.graph or Path(trained_on)

    def inputs(self, student: Path) -> list[Path]:
        """Files and folders that are read, except the graph that the student names."""
        paths = (student, self.graph, self.encoder_path)
        return [path for path in paths if path is not None]


def check_same_graph(name: str, trained_on: str, found: str) -> None:
    """Refuses a graph that is not the student's.

    Args:
        name: of the student's graph.
        trained_on: its content hash.
        found: the content hash of the present graph.

    Raises:
        StaleError: they differ.
    """
    if found != trained_on:
        raise StaleError(
            f"the student was trained on {name} with content hash {trained_on[:12]}, but the graph "
            f"there now has {found[:12]}; train again, or give the right graph with --graph"
        )
