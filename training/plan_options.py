"""The inputs of an estimate, checked before torch is imported."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from training.config import TRAINING, StudentConfig, check_amount
from training.errors import TeacherError
from training.teacher.defaults import teacher_kind

ENCODER_PARAMETERS = 22.7e6  # of MiniLM
PARAMETERS = {"encoder": ENCODER_PARAMETERS, "gemma": 268e6}  # of the built-in teachers
HEADER_LENGTH = 8  # bytes before a safetensors file's header, little-endian


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What an estimate is made for."""

    teacher: str | None
    students: tuple[StudentConfig, ...]
    hashed: bool
    epochs: int  # of a student
    parameters: float  # of the teacher; 0: known from its name or its files
    shown: int  # width of the teacher's features per node and hop
    questions: int  # maximum; 0: every node and hop
    workers: int
    machine_price: float  # per hour of this machine, or of a worker
    input_price: float  # per million tokens, of an endpoint
    output_price: float
    answers_a_second: float  # of an endpoint
    batches: bool = False  # with drawn neighbours, even if the whole graph fits
    fanout: int = TRAINING.fanout
    device: str = "cpu"  # that students are trained on; must be available


def check_plan_options(options: PlanOptions) -> None:
    """Checks the numbers, and that the teacher's size is known.

    Raises:
        TeacherError: the teacher runs here, and its number of parameters is unknown.
        TrainingError: a price, a rate or that number is NaN, infinite or below 0.
    """
    check_amount("--teacher-parameters", options.parameters)
    for field in ("machine_price", "input_price", "output_price", "answers_a_second"):
        check_amount("--" + field.replace("_", "-"), getattr(options, field))
    kind = "" if options.teacher is None else teacher_kind(options.teacher)
    known = options.parameters or kind in ("endpoint", "student")
    if options.teacher is not None and not (known or parameters_of(options.teacher)):
        raise TeacherError(
            f"--teacher {options.teacher}: give its number of parameters with "
            "--teacher-parameters, such as 8e9"
        )


def parameters_of(teacher: str) -> float:
    """The size of a teacher by its name, or by the weights in its folder; 0 if it is unknown.

    Raises:
        TeacherError: the weights are damaged.
    """
    name, _, path = teacher.partition(":")
    folder = Path(path if name == "encoder" and path else teacher)
    if folder.is_dir():
        return float(sum(map(weights_in, sorted(folder.glob("*.safetensors")))))
    return 0.0 if path else PARAMETERS.get(name, 0.0)


def weights_in(file: Path) -> int:
    """The number of weights in a safetensors file, by its header alone.

    Raises:
        TeacherError: the file is damaged.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(HEADER_LENGTH), "little")
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
        return sum(map(math.prod, shapes))
    except PermissionError as error:
        raise TeacherError(f"{file}: {error.strerror}") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise TeacherError(f"{file} is damaged: {error}") from error
