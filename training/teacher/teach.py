"""Makes a teacher folder from a graph and a language model."""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import TeacherError
from training.teacher.answer_cache import KeptAnswers, address_of, answers_path
from training.teacher.answers.baselines import baseline_metrics
from training.teacher.answers.folder import (
    HopAnswers,
    TeacherInfo,
    write_teacher,
)
from training.teacher.answers.joint import with_joint_view
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import TUNED_FILE, teacher_metrics
from training.teacher.asking import ask_all
from training.teacher.budget import budgeted_nodes, unpriced
from training.teacher.causal import CausalTeacher
from training.teacher.causal.choice import with_chosen_scores
from training.teacher.cost import Bill, estimate
from training.teacher.defaults import model_folder
from training.teacher.encoder import EncoderTeacher
from training.teacher.encoder_head import start_head, with_fitted_head
from training.teacher.endpoint import EndpointOptions
from training.teacher.extract import (
    AskParts,
    ask_here,
    extract,
    gather_questions,
)
from training.teacher.fingerprint import fingerprint, prompts_digest, settings
from training.teacher.finished import ADAPTER_FOLDER, finished, weight_files
from training.teacher.local import LocalTeacher, load_local
from training.teacher.options import TeachOptions
from training.teacher.reading import check_same_model
from training.teacher.space import answer_bytes, check_answers_fit, check_fits, keeping
from training.teacher.tuning import (
    Examples,
    TuningProgress,
    tune,
    tuned_weights,
    tuning_nodes,
)
from training.weights import save_weights
from understudy.endpoint.opening import open_asker
from understudy.folders import atomic_folder, check_output, reserved, unfinished_folder
from understudy.folders.errors import cache_errors
from understudy.folders.kinds import TEACHER
from understudy.graph import TextGraph, check_split, load_graph
from understudy.graph.files import cache_folder
from understudy.graph.prompts import Prompt, graph_prompter, prompt_hash
from understudy.graph.splits import labeled_nodes
from understudy.graph.trainable import check_trainable
from understudy.progress import Progress, silent, step

AskingElsewhere = Callable[[TeachOptions], AskParts]  # the scores are chosen already
CHECKPOINT_FILE = "tuning.safetensors"
KEPT_PROMPTS = 65_536  # cache size: asked prompts are written more than once
log = logging.getLogger(__name__)


def teach(
    graph_folder: Path,
    out: Path,
    options: TeachOptions,
    progress: Progress = silent,
    force: bool = False,
    elsewhere: AskingElsewhere | None = None,
    like: Path | None = None,
) -> TeacherInfo:
    """Tunes the teacher, asks it about the graph's nodes, writes its folder.

    Work in progress is kept beside `out`, in a folder named after everything it depends on: the
    same call resumes it, and a different call does not touch it. If `out` already holds the result
    of the same call, nothing is done.

    Args:
        force: replace a folder of another kind, too.
        elsewhere: asks a local teacher outside this process.
        like: a teacher folder; before it is tuned, a local teacher must be the model that made it.

    Raises:
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`.
    """
    check_output(out, TEACHER, [graph_folder, *model_folder(options.teacher)], force)
    with reserved(out):
        return taught(graph_folder, out, options, progress, elsewhere, like)


def taught(
    graph_folder: Path,
    out: Path,
    options: TeachOptions,
    progress: Progress,
    elsewhere: AskingElsewhere | None,
    like: Path | None,
) -> TeacherInfo:
    """Does the work of `teach`, for an output that has been checked."""
    graph = load_graph(graph_folder)
    check_split(graph)
    check_trainable(graph)
    if options.kind == "endpoint":
        return teach_endpoint(graph, out, options, progress)
    with step(progress, "Loading the teacher"):
        teacher = load_local(graph, options)
    reading = getattr(teacher, "reading", "")  # a registered teacher's digest covers everything
    if like is not None:
        check_same_model(options.teacher, like, teacher.digest, reading)
    digest = fingerprint(graph, options, teacher.digest, reading)
    if (done := finished(out, digest, weight_files(options))) is not None:
        return done
    nodes = chosen_nodes(graph, options)  # fails now instead of after hours of tuning
    work = unfinished_folder(out, digest)
    if isinstance(teacher, CausalTeacher):
        examples = tuning_examples(graph, options)
        teacher = with_chosen_scores(teacher, examples, options.tuning)
        options = replace(options, causal=replace(options.causal, scores=teacher.options.scores))
    # Before hours of tuning; how much more unfinished answers take is known after it.
    answered = len(options.hops) * len(nodes) * answer_bytes(teacher, graph.num_classes)
    check_fits(out, answered, teacher, work / CHECKPOINT_FILE if is_tuned(options) else None)
    ask_parts = ask_here if elsewhere is None else elsewhere(options)
    with keeping(out, work):
        tuning = tune_local(teacher, graph, options, work, progress)
        started = time.monotonic()
        answers = ask_local(teacher, graph, options, nodes, out, work, progress, ask_parts)
    asking_seconds = time.monotonic() - started
    answers = replace(answers, tuned=tuned_on(graph, options))
    answers = with_joint_view(graph, answers, options.tuning.seed, progress)
    answers = with_smoothed_view(graph, options.hops, answers, progress)
    run = {"tuning_seconds": round(tuning.seconds, 1), "asking_seconds": round(asking_seconds, 1)}
    metrics = teacher_metrics(graph, options.hops, answers) | baseline_metrics(graph) | run
    info = describe(graph, options, teacher.digest, digest, metrics, reading)
    with put_out(out, work) as folder:
        write_teacher(folder, info, answers)
        if options.tuning.epochs:
            write_tuned(folder, teacher)
    return info


def write_tuned(folder: Path, teacher: LocalTeacher) -> None:
    """Writes what tuning changed; of a causal teacher also as an adapter that peft reads."""
    tensors = {
        name: weight.detach().contiguous() for name, weight in tuned_weights(teacher).items()
    }
    save_weights(tensors, folder / TUNED_FILE)
    if isinstance(teacher, CausalTeacher):
        teacher.save_adapter(folder / ADAPTER_FOLDER)


@contextmanager
def put_out(out: Path, work: Path, unfinished: bool = True) -> Iterator[Path]:
    """Writes the result, then removes the work in progress.

    Args:
        unfinished: `work` belongs to this call alone; otherwise other calls read it too, and it
            stays.

    Raises:
        TeacherError: `out` can no longer be written; the work is kept.
    """
    with keeping(out, work), atomic_folder(out) as folder:
        yield folder
    if unfinished:
        shutil.rmtree(work, ignore_errors=True)


def tuning_examples(graph: TextGraph, options: TeachOptions) -> Examples:
    return Examples(
        graph_prompter(graph, options.prompts),
        options.hops,
        graph.labels,
        labeled_nodes(graph, "train"),
        labeled_nodes(graph, "val"),
    )


def is_tuned(options: TeachOptions) -> bool:
    """Whether the transformer is tuned, not only a head."""
    return bool(options.tuning.epochs) and not options.encoder.frozen


def tuned_on(graph: TextGraph, options: TeachOptions) -> NDArray[np.int64]:
    """The training nodes that the transformer is tuned on, ascending."""
    if not is_tuned(options):
        return np.empty(0, dtype=np.int64)
    return tuning_nodes(tuning_examples(graph, options), options.tuning)[0]


def tune_local(
    teacher: LocalTeacher, graph: TextGraph, options: TeachOptions, work: Path, progress: Progress
) -> TuningProgress:
    if not is_tuned(options):
        return TuningProgress()
    examples = tuning_examples(graph, options)
    path = work / CHECKPOINT_FILE
    if isinstance(teacher, EncoderTeacher) and not path.is_file():
        start_head(teacher, examples, options, work / "start", progress)
    return tune(teacher, examples, options.tuning, path, options.tokens_per_batch, progress)


def ask_local(
    teacher: LocalTeacher,
    graph: TextGraph,
    options: TeachOptions,
    nodes: NDArray[np.int64],
    out: Path,
    work: Path,
    progress: Progress,
    ask_parts: AskParts,
) -> HopAnswers:
    """The answers of a tuned teacher, or of a frozen encoder, whose head is fitted here.

    Args:
        nodes: to ask about, ascending.
    """
    questions = gather_questions(question_writer(graph, options), options.hops, nodes)
    frozen = teacher if isinstance(teacher, EncoderTeacher) and options.encoder.frozen else None
    folder = work
    if frozen is not None and not options.prompts.show_labels:
        # These answers do not depend on the split, so teachers of other splits can reuse them.
        model = f"{frozen.digest} {frozen.reading}"
        digest = prompts_digest(questions.prompts, model, graph.num_classes, options)
        folder = cache_folder() / "prompts" / digest
    each = answer_bytes(teacher, graph.num_classes)

    def check_room(missing: int) -> None:
        check_answers_fit(out, folder, questions.which.size * each, missing * each)

    sizes = options.tokens_per_batch, progress, options.part_prompts
    with nullcontext() if folder == work else cache_errors(folder):
        answers = extract(teacher, questions, nodes, folder, *sizes, ask_parts, check_room)
    if (width := answers.log_probabilities.shape[-1]) != graph.num_classes:
        raise TeacherError(
            f"the teacher answers with {width} labels, but {graph.name} has {graph.num_classes}"
        )
    if frozen is None:
        return answers
    return with_fitted_head(frozen, graph, answers, options, progress)


def teach_endpoint(
    graph: TextGraph, out: Path, options: TeachOptions, progress: Progress
) -> TeacherInfo:
    """Does the work of `teach` with an endpoint, which has no features and is not tuned."""
    if options.endpoint is None:
        raise TeacherError("an endpoint needs its address, such as openai:URL#model")
    digest = fingerprint(graph, options, "")
    done, address = finished(out, digest), address_hash(options.endpoint)
    # Another address may serve another model: answers kept from the first are reported.
    if done is not None and done.settings.get("asked", address) == address:
        return done
    started = time.monotonic()
    answers, bill, path = ask_endpoint(graph, options, options.endpoint, progress)
    answers = with_smoothed_view(graph, options.hops, answers, progress)
    seconds = round(time.monotonic() - started, 1)
    run = {"seconds": seconds, **charges(bill, options.endpoint)}
    metrics = teacher_metrics(graph, options.hops, answers) | baseline_metrics(graph) | run
    info = describe(graph, options, "", digest, metrics)
    with put_out(out, path, unfinished=False) as folder:
        write_teacher(folder, info, answers)
    return info


def ask_endpoint(
    graph: TextGraph, options: TeachOptions, endpoint: EndpointOptions, progress: Progress
) -> tuple[HopAnswers, Bill, Path]:
    """The answers, their cost, and the file that keeps them."""
    calls, names = endpoint.calls(graph.num_classes), graph.label_names

    def cost(prompt: Prompt) -> float:
        return calls * estimate(prompt, endpoint)

    nodes = chosen_nodes(graph, options, cost)
    questions = gather_questions(question_writer(graph, options), options.hops, nodes)
    asker = open_asker(endpoint.client, dict(options.prompts.label_descriptions))
    path = answers_path(endpoint.model)
    with KeptAnswers(path, endpoint.model, asker.form, names, endpoint.url) as kept:
        rows, bill = ask_all(asker, questions.prompts, names, endpoint, kept, progress)
    found = rows[questions.which]  # [H, M, C]
    whole = np.flatnonzero(~np.isnan(found).any(axis=(0, 2)))
    if not len(whole):
        raise TeacherError(
            "--budget-money was spent before the first node was answered; allow more"
        )
    columns = whole[np.argsort(nodes[whole])]
    return HopAnswers(nodes[columns], found[:, columns]), bill, path


def address_hash(endpoint: EndpointOptions) -> str:
    """A short hash that distinguishes addresses without revealing them to readers of the folder."""
    return hashlib.sha256(address_of(endpoint.url).encode()).hexdigest()[:16]


def charges(bill: Bill, options: EndpointOptions) -> dict[str, float]:
    """What this run was charged for; excludes answers that were kept before."""
    return {**asdict(bill), "cost": bill.cost(options)}


def question_writer(graph: TextGraph, options: TeachOptions) -> Callable[[int, int], Prompt]:
    """A function that writes the prompt for a node and hop; it caches the last ones, as each is
    written twice.
    """
    return lru_cache(KEPT_PROMPTS)(graph_prompter(graph, options.prompts).stored)


def chosen_nodes(
    graph: TextGraph, options: TeachOptions, cost: Callable[[Prompt], float] = unpriced
) -> NDArray[np.int64]:
    """The nodes that the budget allows to ask about.

    For an endpoint in the order in which to ask; otherwise ascending.

    Raises:
        TeacherError: see `budgeted_nodes`.
    """
    write = question_writer(graph, options)
    fitted = options.kind != "endpoint"
    nodes = budgeted_nodes(
        graph, options.hops, options.budget, write, cost, options.tuning.seed, fitted
    )
    return np.sort(nodes) if fitted else nodes


def describe(
    graph: TextGraph,
    options: TeachOptions,
    model_hash: str,
    digest: str,
    metrics: Mapping[str, float],
    reading: str = "",
) -> TeacherInfo:
    endpoint = options.endpoint
    identity = {"fingerprint": digest} | ({"reading": reading} if reading else {})
    identity |= {} if endpoint is None else {"asked": address_hash(endpoint)}
    return TeacherInfo(
        kind=options.kind,
        model=options.teacher if endpoint is None else endpoint.model,
        model_hash=model_hash,
        prompt_hash=prompt_hash(options.prompts, graph.label_names),
        graph_hash=graph.content_hash,
        graph_name=graph.name,
        label_names=graph.label_names,
        hops=options.hops,
        settings={**settings(options), **identity},
        metrics=dict(metrics),
    )
