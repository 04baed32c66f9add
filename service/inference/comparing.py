"""`POST /compare`: both models' answers about the same nodes, with their times and costs."""

from time import perf_counter

from service.http.exchange import Exchange
from service.inference.classifier import Classifier, refuse_if_none_answered
from service.inference.deadlines import attend, seconds_left, spared
from service.inference.job import ClassifyJob
from service.inference.routing import auto_answer, computing_ms
from service.messages import CompareRequest, CompareResponse, Comparison, Cost
from service.teacher.costs import question_cost


async def compared(
    classifier: Classifier, exchange: Exchange, request: CompareRequest
) -> CompareResponse:
    """Asks both models about each node; raises as `Classifier.classify` does."""
    job = await classifier.executor.run(
        classifier.look_up, request.nodes, request.top_k, "teacher", True
    )
    left = seconds_left(exchange, classifier.seconds)
    return await attend(both(classifier, job), exchange, left)


async def both(classifier: Classifier, job: ClassifyJob) -> CompareResponse:
    """Asks the student, then the teacher, so that neither slows the other down."""
    started = perf_counter()
    await classifier.ask_student(job)
    classifier.count("student", len(job.resolution.positions))
    student_ms = round(1_000 * (perf_counter() - started), 3)
    students = job.predictions
    unsure = await classifier.auto.unsure(job)
    if unsure and await classifier.auto.refusal(job.engine.manifest):
        unsure = set()
    await classifier.ask_teacher(job, spared())
    refuse_if_none_answered(students)
    teacher_ms = {p: round(a.milliseconds, 3) for p, a in (job.taught or {}).items()}
    student_cost = Cost(processor_ms=computing_ms(job.inference))
    costs = await teacher_costs(classifier, job)
    comparisons = tuple(
        Comparison(
            student.index,
            student,
            teacher,
            None if teacher.label is None else teacher.label == student.label,
            student_ms,
            teacher_ms.get(student.index),
            auto_answer(student, teacher, student.index in unsure),
            student_cost,
            costs.get(student.index, Cost()),
        )
        for student, teacher in zip(students, job.predictions, strict=True)
    )
    engine, version = job.engine, job.resolution.state.version
    return CompareResponse(engine.manifest.name, engine.model_version, version, comparisons)


async def teacher_costs(classifier: Classifier, job: ClassifyJob) -> dict[int, Cost]:
    """Computes what each of the teacher's answers cost, by position."""
    asking, taught, costs = classifier.asking, job.taught or {}, {}
    assert asking is not None
    async for position, prompt in asking.prompts(job.resolution, job.engine, taught):
        answer = taught[position]
        label = answer.opinion.label
        costs[position] = question_cost(prompt, label, answer.free, asking.prices)
    return costs
