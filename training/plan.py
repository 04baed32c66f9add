"""Estimates what every stage from texts to bundle takes on a graph, before any is started.

The figures come from the graph's counts and from two short measurements on this machine: its speed
of matrix products, which dominate language models and text encoders, and an epoch of each student
on a random graph of the same mean degree.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from training.config import LABELS, StudentConfig, TrainingConfig
from training.data import GraphData, edges, whole_graph
from training.loop import ALONE, JUDGED, Evaluation, batches, begin, run_epoch
from training.losses.objectives import CrossEntropy, Term
from training.memory import (
    BASE_BYTES,
    BATCH,
    DENSE_WIDTH,
    KEPT_FROM,
    WORD_BYTES,
    GraphSize,
    bundle_bytes,
    choose_batch,
    exporting_bytes,
)
from training.plan_options import ENCODER_PARAMETERS, PlanOptions, parameters_of
from training.student.network import Student
from training.teacher.cost import ANSWER_TOKENS
from training.teacher.defaults import defaults_of, reader_kind, teacher_kind
from training.teacher.endpoint import EndpointOptions
from understudy.endpoint.decisions.rounds import finalists, first_questions
from understudy.endpoint.options import ClientOptions
from understudy.graph.csr import build_adjacency
from understudy.graph.hashing import HashingOptions

ENCODER_TOKENS = 256  # maximum number that it reads of a text
CHARACTERS_A_TOKEN = 4
LABEL_TOKENS = 4  # of a label in a prompt
FLOPS_A_PARAMETER = 2  # per token, forward
HASHED_CHARACTERS = 5e6  # per second and core
READ_EDGES, READ_TEXT = 2e6, 5e7  # edges and bytes of text per second, while a graph is read
BEGINNING = 8.0  # seconds until a process has loaded torch
CONVERTING = 15.0  # the same, including the time to write a student's networks
EXPORT_EPOCHS = 1.5  # an export computes all activations twice: to store them, and to compare
FORWARD_SHARE = 0.4  # of a step that needs no gradients
PASS_SHARE = 0.5  # of an epoch of the whole graph: one pass over all nodes after batches
LARGEST_SAMPLE = 20_000  # nodes of the random graph
MEASURING_SECONDS = 10.0  # maximum per kind of student
RATE_SIZE = 512  # rows of the multiplied matrices
HASHED_LONGER = 1.7  # ratio of epochs on hashed texts and on embeddings, of package descriptions
DAY = 86_400.0  # seconds
HALF, WHOLE = 2, 4  # bytes per number


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage on one machine, and its duration on N workers."""

    name: str
    seconds: float
    memory: float  # bytes, at the peak
    disk: float  # bytes that it writes
    money: float
    workers_seconds: float  # on all workers together, from start to end
    remark: str = ""


def plan_stages(size: GraphSize, options: PlanOptions, free: float) -> list[Stage]:
    """Estimates the stages in order."""
    rate = matrix_rate()
    stages = [text_stage(size, options, rate)]
    if options.teacher is not None:
        stages.append(teacher_stage(size, options, rate))
    trained = [student_stages(size, options, student, free) for student in options.students]
    share = -(-len(trained) // options.workers)  # students a worker trains in sequence
    for distilling, exporting in trained:
        longest = max(stage.seconds for stage, _ in trained)
        stages.append(replace(distilling, workers_seconds=min(distilling.seconds, share * longest)))
        stages.append(exporting)
    return stages


def text_stage(size: GraphSize, options: PlanOptions, rate: float) -> Stage:
    """Computing features of the texts, once per graph."""
    if options.hashed:
        seconds = size.text_bytes / HASHED_CHARACTERS
        words = WORD_BYTES * size.text_bytes
        disk = words * is_kept(size)
        return priced("hash texts", seconds, BASE_BYTES + size.text_bytes + words, disk, options, 1)
    tokens = size.nodes * min(size.text_bytes / size.nodes / CHARACTERS_A_TOKEN, ENCODER_TOKENS)
    seconds = tokens * FLOPS_A_PARAMETER * ENCODER_PARAMETERS / rate
    disk = size.nodes * DENSE_WIDTH * WHOLE
    return priced("encode texts", seconds, BASE_BYTES + 2e9, disk, options, 1)


def teacher_stage(size: GraphSize, options: PlanOptions, rate: float) -> Stage:
    """Asking the teacher; tuning it first is not included."""
    teacher = str(options.teacher)
    defaults = defaults_of(teacher)
    questions = size.nodes * max(len(defaults.hops), 1)
    kind = teacher_kind(teacher)
    rounds = teacher_rounds(teacher, size.classes)
    questions = min(questions, options.questions or questions)
    tokens = defaults.tokens + LABEL_TOKENS * size.classes
    shown = 0 if kind == "endpoint" else options.shown  # it shows no features
    disk = questions * (size.classes * WHOLE + shown * HALF)
    memory = BASE_BYTES + 2 * disk + 2 * size.text_bytes
    if kind == "endpoint":
        tokens += (rounds - 1) * (defaults.tokens + LABEL_TOKENS * finalist_count(size.classes))
        paid = tokens * options.input_price + rounds * ANSWER_TOKENS * options.output_price
        seconds = rounds * questions / options.answers_a_second
        remark = f"{questions:,} questions{' of two requests each' if rounds > 1 else ''}"
        return Stage("teach", seconds, memory, disk, questions * paid / 1e6, seconds, remark)
    if kind == "student":
        return Stage("teach", 0.0, memory, disk, 0.0, 0.0, "a graph network: an epoch of it")
    parameters = options.parameters or parameters_of(teacher)
    seconds = questions * tokens * FLOPS_A_PARAMETER * parameters / rate
    remark = f"{questions:,} questions of about {tokens} tokens"
    stage = priced("teach", seconds, memory + HALF * parameters, disk, options, options.workers)
    return replace(stage, remark=remark)


def teacher_rounds(teacher: str, classes: int) -> int:
    """Requests per question: a decision endpoint is asked about many labels in two rounds."""
    if reader_kind(teacher) != "decision endpoint":
        return 1
    return EndpointOptions("", "", wire="decisions").calls(classes)


def finalist_count(classes: int) -> int:
    """Labels in the second round of a decision endpoint's question."""
    most = ClientOptions("", "").most_choices
    labels = first_questions(classes, most)
    return sum(map(len, finalists(labels, [np.ones(len(own)) for own in labels], most)))


def student_stages(
    size: GraphSize, options: PlanOptions, student: StudentConfig, free: float
) -> tuple[Stage, Stage]:
    """Distilling and exporting one student."""
    taught = options.teacher is not None
    room = 0.0 if options.batches else free
    choice = choose_batch(size, student, options.hashed, taught, room, options.fanout)
    whole = epoch_seconds(size, student, options.hashed, options.device)
    epoch = batches_seconds(size, student, options) if choice.seeds else whole
    reading = size.edges / READ_EDGES + size.text_bytes / READ_TEXT
    hashing = size.text_bytes / HASHED_CHARACTERS * (options.hashed and not is_kept(size))
    weights = weight_bytes(student, size.classes, options.hashed)
    distilling = priced(
        f"distill {student.kind}",
        BEGINNING + reading + options.epochs * epoch + whole * PASS_SHARE * bool(choice.seeds),
        choice.bytes,
        weights,
        options,
        1,
    )
    remark = f"whole graph, {epoch:.1f} s an epoch"
    if choice.seeds:
        remark = f"in batches, {epoch:.1f} s an epoch"
    exporting = priced(
        f"export {student.kind}",
        CONVERTING + reading + hashing + EXPORT_EPOCHS * whole,
        exporting_bytes(size, student, options.hashed),
        bundle_bytes(size, student, weights),
        options,
        1,
    )
    return replace(distilling, remark=remark), exporting


def is_kept(size: GraphSize) -> bool:
    """Whether hashed texts are cached for all commands."""
    return size.text_bytes >= KEPT_FROM


def weight_bytes(student: StudentConfig, classes: int, hashed: bool) -> int:
    """Size of a student's weights."""
    width = HashingOptions().buckets if hashed else DENSE_WIDTH
    with torch.device("meta"):  # shapes only
        made = Student(student, width, max(classes, 2), hashed)
    return sum(w.numel() for w in made.parameters()) * WHOLE


def priced(
    name: str, seconds: float, memory: float, disk: float, options: PlanOptions, workers: int
) -> Stage:
    """A stage whose price depends on the total hours, not on the number of workers."""
    money = seconds / 3_600 * options.machine_price
    return Stage(name, seconds, memory, disk, money, seconds / workers)


def matrix_rate() -> float:
    """This machine's operations per second in float32 matrix products."""
    left, right = torch.randn(2, RATE_SIZE, RATE_SIZE)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - started)
    return 2 * RATE_SIZE**3 / min(times[1:])


def epoch_seconds(
    size: GraphSize, student: StudentConfig, hashed: bool, device: str = "cpu"
) -> float:
    """Seconds of an epoch on the whole graph, scaled from a random one of equal mean degree."""
    data = sample_of(size).to(torch.device(device), whole=True)
    network = small_student(student, size.classes).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    terms, batch = [Term(LABELS, 1.0, CrossEntropy())], whole_graph(data)
    evaluation = Evaluation(network, data)

    def epoch() -> None:
        run_epoch(network, [batch], terms, optimizer)
        evaluation(network, None)

    longer = HASHED_LONGER if hashed else 1.0
    return least_seconds(epoch) * size.nodes / len(data.labels) * longer


def batches_seconds(size: GraphSize, student: StudentConfig, options: PlanOptions) -> float:
    """Seconds of an epoch in batches, from a step on a random graph. It covers the train nodes, or
    all nodes with a teacher, and the nodes of the evaluation.
    """
    data = sample_of(size).to(torch.device(options.device), whole=False)
    network = small_student(student, size.classes).to(options.device)
    config = TrainingConfig(batch_size=BATCH, fanout=options.fanout)
    terms = [Term(LABELS, 1.0, CrossEntropy())]
    run = begin(network, terms, config, ALONE)
    drawn = replace(data, train=data.train[:BATCH])
    epochs = batches(run, drawn, terms, config, ALONE)
    step = least_seconds(lambda: run_epoch(network, next(epochs), terms, run.optimizer))
    seeds = size.nodes if options.teacher is not None else size.train
    judged = 2 * min(JUDGED, max(size.train, 1)) * FORWARD_SHARE
    return step * (seeds + judged) / len(drawn.train) * (HASHED_LONGER if options.hashed else 1.0)


def least_seconds(work: Callable[[], object]) -> float:
    """The shortest of up to four runs that start within some seconds."""
    begun = time.perf_counter()
    times: list[float] = []
    while not times or (len(times) < 4 and time.perf_counter() - begun < MEASURING_SECONDS / 2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def sample_of(size: GraphSize) -> GraphData:
    """A random graph of at most LARGEST_SAMPLE nodes."""
    count = min(size.nodes, LARGEST_SAMPLE)
    return drawn_graph(count, round(size.edges * count / size.nodes), size.classes)


def small_student(student: StudentConfig, classes: int) -> Student:
    return Student(student, DENSE_WIDTH, max(classes, 2), hashed=False)


def drawn_graph(count: int, pairs: int, classes: int) -> GraphData:
    """A graph of random edges and features; all nodes are labelled, 4/5 in train and val."""
    generator = np.random.default_rng(0)
    adjacency = build_adjacency(count, generator.integers(0, count, (pairs, 2)))[0]
    order = torch.from_numpy(generator.permutation(count))
    train, val, test = order.tensor_split([max(3 * count // 5, 1), max(4 * count // 5, 2)])
    return GraphData(
        features=torch.from_numpy(generator.standard_normal((count, DENSE_WIDTH), np.float32)),
        edges=edges(adjacency),
        labels=torch.from_numpy(generator.integers(0, max(classes, 2), count)),
        train=train,
        val=val,
        test=test,
        adjacency=adjacency,
    )


def advice(stages: Sequence[Stage], options: PlanOptions) -> list[str]:
    """Which options to choose, as lines."""
    longest = max(stages, key=lambda stage: stage.seconds)
    lines = []
    if longest.name == "teach" and longest.seconds > DAY:
        share = DAY / longest.seconds
        lines.append(
            f"asking takes {longest.seconds / DAY:,.1f} days: with `teach --budget` of {share:.0%} "
            "of the questions it takes one day, and labels spread over the edges cover the rest"
        )
    if any("in batches" in stage.remark for stage in stages) and not options.batches:
        lines.append(
            "a student does not fit into memory with the whole graph: more memory or a smaller "
            "--hidden is faster than batches"
        )
    if options.workers > 1:
        lines.append(
            f"{options.workers} workers can share the teacher's questions, and the students, each "
            "of which is one worker's; they do not shorten what stays on one"
        )
    return lines or ["one machine has enough memory for all stages: use the defaults"]
