"""From a graph and a language model to a teacher folder."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from graph import TextGraph, check_split, load_graph
from graph.files import atomic_folder
from graph.progress import Progress, silent
from graph.prompts import PromptOptions, graph_prompter, prompt_hash
from training.data import check_classes, labeled_members
from training.encoding import cache_folder
from training.errors import TeacherError
from training.teachers.causal import CausalOptions, CausalTeacher
from training.teachers.causal_loading import load_causal_teacher
from training.teachers.encoder import EncoderOptions, EncoderTeacher, load_encoder_teacher
from training.teachers.endpoint import Endpoint, EndpointOptions, Usage, ask_all
from training.teachers.extraction import PART_PROMPTS, Questions, extract, gather_questions
from training.teachers.folder import HopAnswers, TeacherInfo, read_info, write_teacher
from training.teachers.frozen import fit_head
from training.teachers.joint import with_joint_view
from training.teachers.scores import teacher_metrics
from training.teachers.smoothing import with_smoothed_view
from training.teachers.tuning import (
    Examples,
    Place,
    TuningOptions,
    training_nodes,
    tune,
    tuned_weights,
    tuning_nodes,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TeachOptions:
    teacher: str = "encoder"  # encoder, encoder:FOLDER, a folder or hub id, openai:URL#model
    hops: tuple[int, ...] = (0, 1, 2)  # asked about
    prompts: PromptOptions = field(default_factory=PromptOptions)
    tuning: TuningOptions = field(default_factory=TuningOptions)
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    causal: CausalOptions = field(default_factory=CausalOptions)
    endpoint: EndpointOptions | None = None  # for openai:… only
    max_nodes: int = 0  # asked about, drawn at random; 0 asks about all
    tokens_per_batch: int = 8_192  # of an extraction batch, padding included
    part_prompts: int = PART_PROMPTS  # answers that are written at once

    @property
    def kind(self) -> str:
        name = self.teacher.partition(":")[0]
        return {"encoder": "encoder", "openai": "endpoint"}.get(name, "causal")


LocalTeacher = EncoderTeacher | CausalTeacher


def teach(
    graph_folder: Path, out: Path, options: TeachOptions, progress: Progress = silent
) -> TeacherInfo:
    """Tunes the teacher, asks it about the graph's nodes, writes its folder.

    Work in progress lies beside `out`, in a folder named after everything it depends on: the same
    call resumes it, and another one leaves it alone. Where `out` is the result of the same call
    already, nothing is done.

    Raises:
        GraphError, TrainingError: see `graph.errors` and `training.errors`.
    """
    check_output(out)
    graph = load_graph(graph_folder)
    check_split(graph)
    check_classes(graph)
    if options.kind == "endpoint":
        return teach_endpoint(graph, out, options, progress)
    teacher = load_local(graph, options)
    digest = fingerprint(graph, options, teacher.digest)
    if (done := finished(out, digest)) is not None:
        return done
    work = out.parent / f".{out.name}.{digest[:12]}"
    place = tune_local(teacher, graph, options, work, progress)
    started = time.monotonic()
    questions, nodes = all_questions(graph, options)
    sizes = options.tokens_per_batch, progress, options.part_prompts
    frozen = isinstance(teacher, EncoderTeacher) and options.encoder.frozen
    folder = work
    if frozen and not options.prompts.show_labels:
        # These answers do not depend on the split: the next split's teacher need not ask again.
        folder = cache_folder() / "prompts" / questions_digest(graph, questions, options, teacher)
    answers = extract(teacher, questions, nodes, folder, *sizes)
    if isinstance(teacher, EncoderTeacher) and options.encoder.frozen:
        answers = with_fitted_head(teacher, graph, answers, options, progress)
    train = training_nodes(labeled_members(graph, "train").numpy(), options.tuning)
    answers = with_joint_view(graph, answers, train, options.tuning.seed, progress)
    answers = with_smoothed_view(graph, options.hops, answers, progress)
    metrics = teacher_metrics(graph, options.hops, answers) | {
        "tuning_seconds": round(place.seconds, 1),
        "asking_seconds": round(time.monotonic() - started, 1),
    }
    info = describe(graph, options, teacher.digest, digest, metrics)
    with atomic_folder(out) as folder:
        write_teacher(folder, info, answers)
        if options.tuning.epochs:
            weights = {k: w.detach().contiguous() for k, w in tuned_weights(teacher).items()}
            save_file(weights, folder / "tuned.safetensors")
            if isinstance(teacher, CausalTeacher):
                teacher.save_adapter(folder / "adapter")
    shutil.rmtree(work, ignore_errors=True)
    return info


def check_output(out: Path) -> None:
    """Refuses to replace what is no teacher folder."""
    if out.is_file() or (
        out.is_dir() and any(out.iterdir()) and not (out / "teacher.json").is_file()
    ):
        raise TeacherError(f"{out} exists and is no teacher folder; name another one")


def load_local(graph: TextGraph, options: TeachOptions) -> LocalTeacher:
    tuned, seed = options.tuning.epochs > 0, options.tuning.seed
    if options.kind == "causal":
        return load_causal_teacher(options.teacher, graph.label_names, options.causal, tuned, seed)
    if not tuned:
        raise TeacherError("an encoder has a fresh head, so it needs at least one epoch of tuning")
    _, _, path = options.teacher.partition(":")
    if path and not Path(path).is_dir():
        raise TeacherError(f"there is no folder {path!r}; give a text encoder's folder")
    return load_encoder_teacher(
        Path(path) if path else None, graph.num_classes, options.encoder, seed
    )


def tune_local(
    teacher: LocalTeacher, graph: TextGraph, options: TeachOptions, work: Path, progress: Progress
) -> Place:
    if not options.tuning.epochs or options.encoder.frozen:
        return Place()
    examples = Examples(
        graph_prompter(graph, options.prompts),
        options.hops,
        graph.labels,
        labeled_members(graph, "train").numpy(),
        labeled_members(graph, "val").numpy(),
    )
    path = work / "tuning.safetensors"
    if isinstance(teacher, EncoderTeacher) and not path.is_file():
        start_head(teacher, examples, options, work / "start", progress)
    return tune(teacher, examples, options.tuning, path, options.tokens_per_batch, progress)


def start_head(
    teacher: EncoderTeacher,
    examples: Examples,
    options: TeachOptions,
    folder: Path,
    progress: Progress,
) -> None:
    """Fits the head to the untuned features of the nodes that tuning will see.

    Their answers are kept in `folder`, for a run that is killed on the way.
    """
    train, validation = tuning_nodes(examples, options.tuning)
    nodes = np.concatenate([train, validation])
    questions = gather_questions(examples.prompter.stored, examples.hops, nodes)
    answers = extract(
        teacher, questions, nodes, folder, options.tokens_per_batch, progress, options.part_prompts
    )
    assert answers.features is not None
    columns = np.arange(len(nodes))
    head = fit_head(
        answers.features,
        examples.labels[nodes],
        columns[: len(train)],
        columns[len(train) :],
        teacher.module.head.out_features,
        options.tuning.seed,
        progress,
    )
    teacher.module.head.load_state_dict(head.state_dict())


def with_fitted_head(
    teacher: EncoderTeacher,
    graph: TextGraph,
    answers: HopAnswers,
    options: TeachOptions,
    progress: Progress,
) -> HopAnswers:
    """The answers of an untuned encoder whose head is fitted to its features now.

    Raises:
        TeacherError: too few nodes are asked about for a training node to be among them.
    """
    assert answers.features is not None
    train, val = (
        np.flatnonzero(np.isin(answers.nodes, labeled_members(graph, split).numpy()))
        for split in ("train", "val")
    )
    if not len(train):
        raise TeacherError("the teacher is asked about no training node; raise --max-nodes")
    train = training_nodes(train, options.tuning)
    labels = graph.labels[answers.nodes]
    classes, seed = graph.num_classes, options.tuning.seed
    head = fit_head(answers.features, labels, train, val, classes, seed, progress)
    teacher.module.head = head
    with torch.no_grad():
        logits = head(torch.from_numpy(answers.features.astype(np.float32)))
    return replace(answers, log_probabilities=logits.log_softmax(2).numpy())


def teach_endpoint(
    graph: TextGraph, out: Path, options: TeachOptions, progress: Progress
) -> TeacherInfo:
    """The same from an endpoint: it shows no features and is not tuned."""
    if options.endpoint is None:
        raise TeacherError("an endpoint needs its address: openai:URL#model")
    digest = fingerprint(graph, options, "")
    if (done := finished(out, digest)) is not None:
        return done
    started = time.monotonic()
    work = out.parent / f".{out.name}.{digest[:12]}"
    questions, nodes = all_questions(graph, options)
    with Endpoint(options.endpoint, graph.label_names) as endpoint:
        rows = ask_all(endpoint, questions.prompts, work / "answers.jsonl", progress)
    answers = HopAnswers(nodes, rows[questions.which])
    answers = with_smoothed_view(graph, options.hops, answers, progress)
    run = {"seconds": round(time.monotonic() - started, 1), **usage(endpoint)}
    metrics = teacher_metrics(graph, options.hops, answers) | run
    info = describe(graph, options, "", digest, metrics)
    with atomic_folder(out) as folder:
        write_teacher(folder, info, answers)
    shutil.rmtree(work, ignore_errors=True)
    return info


def usage(endpoint: Endpoint) -> dict[str, float]:
    """What this run was charged for; answers of an earlier, interrupted run are not in it."""
    counts: Usage = endpoint.usage
    return {**asdict(counts), "cost": counts.cost(endpoint.options)}


def all_questions(graph: TextGraph, options: TeachOptions) -> tuple[Questions, NDArray[np.int64]]:
    nodes = np.arange(graph.num_nodes, dtype=np.int64)
    if options.max_nodes:
        generator = np.random.default_rng([options.tuning.seed, 3])
        nodes = np.sort(generator.permutation(nodes)[: options.max_nodes])
    prompter = graph_prompter(graph, options.prompts)
    return gather_questions(prompter.stored, options.hops, nodes), nodes


def settings(options: TeachOptions) -> dict[str, Any]:
    """The options that answers depend on; no key, no address, nothing that only costs time."""
    kept: dict[str, Any] = {
        "hops": list(options.hops),
        "prompts": asdict(options.prompts),
        "max_nodes": options.max_nodes,
    }
    if options.endpoint is not None:
        return kept | {"model": options.endpoint.model, "top": options.endpoint.top}
    own = options.encoder if options.kind == "encoder" else options.causal
    kept |= {"tuning": asdict(options.tuning), options.kind: asdict(own)}
    # Batches decide the last bits of an answer, which a resumed run must share.
    sizes = {"tokens_per_batch": options.tokens_per_batch, "part_prompts": options.part_prompts}
    return kept | sizes


def fingerprint(graph: TextGraph, options: TeachOptions, weights: str) -> str:
    """SHA-256 of everything that the answers depend on."""
    value = {
        "graph": graph.content_hash,
        "prompts": prompt_hash(options.prompts, graph.label_names),
        "weights": weights,
        "kind": options.kind,
        "settings": settings(options),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def questions_digest(
    graph: TextGraph, questions: Questions, options: TeachOptions, teacher: LocalTeacher
) -> str:
    """SHA-256 of what an untuned encoder's answers depend on, whatever the split."""
    sizes = options.encoder.max_tokens, options.tokens_per_batch, options.part_prompts
    precision = " bf16" if options.encoder.bf16 else ""
    digest = hashlib.sha256(f"{teacher.digest} {graph.num_classes} {sizes}{precision}".encode())
    for prompt in questions.prompts:
        digest.update(prompt.description.encode() + b"\0")
    return digest.hexdigest()[:32]


def finished(out: Path, digest: str) -> TeacherInfo | None:
    """The folder's description, where it is the result of the same call."""
    if not (out / "teacher.json").is_file():
        return None
    try:
        info = read_info(out)
    except TeacherError:
        return None
    return info if info.settings.get("fingerprint") == digest else None


def describe(
    graph: TextGraph,
    options: TeachOptions,
    model_hash: str,
    digest: str,
    metrics: Mapping[str, float],
) -> TeacherInfo:
    endpoint = options.endpoint
    return TeacherInfo(
        kind=options.kind,
        model=options.teacher if endpoint is None else endpoint.model,
        model_hash=model_hash,
        prompt_hash=prompt_hash(options.prompts, graph.label_names),
        graph_hash=graph.content_hash,
        graph_name=graph.name,
        label_names=graph.label_names,
        hops=options.hops,
        settings={**settings(options), "fingerprint": digest},
        metrics=dict(metrics),
    )
