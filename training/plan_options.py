"""What an estimate is made for; checked before torch is imported."""

from dataclasses import dataclass

from training.config import TRAINING, StudentConfig, check_amount
from training.errors import TeacherError
from training.teacher.defaults import teacher_kind

ENCODER_PARAMETERS = 22.7e6  # of MiniLM
PARAMETERS = {"encoder": ENCODER_PARAMETERS, "gemma": 268e6}  # of teachers that are at hand


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What is to be planned for."""

    teacher: str | None
    students: tuple[StudentConfig, ...]
    hashed: bool
    epochs: int  # of a student
    parameters: float  # of the teacher; 0: those of a known one
    shown: int  # numbers of a feature that the teacher shows of a node and hop
    questions: int  # at most; 0: every node and hop
    workers: int
    machine_price: float  # an hour of this machine, or of a worker
    input_price: float  # a million tokens, of an endpoint
    output_price: float
    answers_a_second: float  # of an endpoint
    batches: bool = False  # of drawn neighbours, also where the whole graph fits
    fanout: int = TRAINING.fanout
    device: str = "cpu"  # that is here, and that students are trained on


def check_plan_options(options: PlanOptions) -> None:
    """Refuses a teacher of which nothing is known, and what is no amount.

    Raises:
        TeacherError: it runs here, and the number of its parameters was not said.
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
            f"--teacher {options.teacher}: say how large it is, with --teacher-parameters such as "
            "8e9"
        )
