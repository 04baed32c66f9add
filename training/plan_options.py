"""The inputs of an estimate, checked before torch is imported."""

from dataclasses import dataclass

from training.config import TRAINING, StudentConfig, check_amount
from training.errors import TeacherError
from training.teacher.defaults import teacher_kind

ENCODER_PARAMETERS = 22.7e6  # of MiniLM
PARAMETERS = {"encoder": ENCODER_PARAMETERS, "gemma": 268e6}  # of the built-in teachers


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What an estimate is made for."""

    teacher: str | None
    students: tuple[StudentConfig, ...]
    hashed: bool
    epochs: int  # of a student
    parameters: float  # of the teacher; 0: known from its name
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
    name = str(options.teacher).partition(":")[0]
    kind = "" if options.teacher is None else teacher_kind(options.teacher)
    known = options.parameters or name in PARAMETERS or kind in ("endpoint", "student")
    if options.teacher is not None and not known:
        raise TeacherError(
            f"--teacher {options.teacher}: give its number of parameters with "
            "--teacher-parameters, such as 8e9"
        )
