"""What `export` is asked to do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EncoderPrecision = Literal["auto", "fp32", "int8"]
STUDENT_PRECISIONS = ("int8", "fp16")  # beside float32


@dataclass(frozen=True, slots=True)
class ExportOptions:
    graph: Path | None = None  # where the graph folder is now, if it was moved
    encoder_path: Path | None = None  # MiniLM's folder, where it is not installed
    name: str | None = None  # of the model; else the graph's and the student's
    encoder_precision: EncoderPrecision = "auto"  # auto: int8 if it passes its gate
    student_precisions: tuple[str, ...] = ()  # int8, fp16: the student's files in these as well

    def inputs(self, student: Path) -> list[Path]:
        """Files and folders that are read, but for the graph that the student names."""
        given = (student, self.graph, self.encoder_path)
        return [path for path in given if path is not None]
