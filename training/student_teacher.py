"""Uses a graph network as the teacher: writes its answers about every node as a teacher folder.

The teacher may be a message-passing network for a student without messages (GLNN, arXiv
2110.08727), a student for the next one (born-again networks, arXiv 1805.04770), or a network on
MiniLM's embeddings for one on hashed n-grams; it is also the control for every language model. Like
a tuned transformer, the student has memorised its training nodes' labels. So its answers about them
are only used in smoothed form, which depends on their neighbours.
"""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data import graph_data
from training.encoders.features import graph_features
from training.errors import StaleTeacherError
from training.student.checkpoint import Checkpoint, load_checkpoint
from training.teacher.answers.baselines import baseline_metrics
from training.teacher.answers.folder import HopAnswers, TeacherInfo, write_teacher
from training.teacher.answers.smoothing import with_smoothed_view
from training.teacher.answers.views import teacher_metrics
from training.teacher.defaults import STUDENT_KIND, STUDENT_WEIGHTS, student_folder
from training.teacher.extract import check_answers, half
from training.teacher.finished import finished
from training.teacher.options import TeachOptions
from training.teacher.protocol import Answers
from training.teacher.teach import AskingElsewhere
from training.teacher.teach import teach as ask_language_model
from understudy.folders import atomic_folder, check_output, reserved, unchanged
from understudy.folders.kinds import TEACHER
from understudy.graph import TextGraph, check_split, load_graph
from understudy.graph.files import file_digest
from understudy.graph.splits import labeled_nodes
from understudy.graph.trainable import check_trainable
from understudy.progress import Progress, silent


def teach(
    graph_folder: Path,
    out: Path,
    options: TeachOptions,
    progress: Progress = silent,
    force: bool = False,
    elsewhere: AskingElsewhere | None = None,
) -> TeacherInfo:
    """Writes the teacher folder of a student, or of a language model for other kinds.

    Raises:
        FolderError, GraphError, TrainingError: see `training.teacher.teach.teach`; the student was
            trained on another graph, or its folder is damaged.
    """
    if options.kind != STUDENT_KIND:
        return ask_language_model(graph_folder, out, options, progress, force, elsewhere)
    folder = student_folder(options.teacher)
    check_output(out, TEACHER, [graph_folder, folder], force)
    with reserved(out):
        return taught(graph_folder, out, folder, progress)


def taught(graph_folder: Path, out: Path, folder: Path, progress: Progress) -> TeacherInfo:
    """Does the work of `teach`, for an output that has been checked."""
    graph = load_graph(graph_folder)
    check_split(graph)
    check_trainable(graph)
    with unchanged(folder):  # so the digest belongs to the loaded weights
        checkpoint = load_checkpoint(folder)
        check_graph(folder, checkpoint, graph)
        info = describe(graph, folder, checkpoint)
    if (done := finished(out, info.settings["fingerprint"])) is not None:
        return done
    features = graph_features(graph, checkpoint.config.encoder, None, progress)
    data = graph_data(graph, features)
    with torch.inference_mode():
        output = checkpoint.student(data.features, data.edges)
    answers = student_answers(graph, output.logits, output.hidden[-1])
    check_answers(Answers(answers.log_probabilities[0], output.hidden[-1].numpy()), graph.num_nodes)
    answers = with_smoothed_view(graph, info.hops, answers, progress)
    metrics = teacher_metrics(graph, info.hops, answers) | baseline_metrics(graph)
    info = replace(info, metrics=metrics)
    with atomic_folder(out) as temporary:
        write_teacher(temporary, info, answers)
    return info


def check_graph(folder: Path, checkpoint: Checkpoint, graph: TextGraph) -> None:
    """Refuses a student that may have learned this graph's test labels.

    Raises:
        StaleTeacherError: it was trained on another graph, or on another split of it.
    """
    config = checkpoint.config
    if config.graph_hash != graph.content_hash:
        raise StaleTeacherError(
            f"{folder} was trained on {config.graph_name} with content hash "
            f"{config.graph_hash[:12]}, but {graph.name} has {graph.content_hash[:12]} and may "
            "test on nodes that were trained on; run `understudy distill` on this graph"
        )


def student_answers(graph: TextGraph, logits: Tensor, hidden: Tensor | None = None) -> HopAnswers:
    """A student's answers about all nodes, as a teacher's answers at one hop.

    Shapes:
        logits: float32 [N, C]; hidden: float32 [N, d], used as its features
    """
    return HopAnswers(
        np.arange(graph.num_nodes, dtype=np.int64),
        logits.log_softmax(1)[None].numpy(),
        features=None if hidden is None else half(hidden.numpy())[None],
        tuned=labeled_nodes(graph, "train"),
    )


def describe(graph: TextGraph, folder: Path, checkpoint: Checkpoint) -> TeacherInfo:
    """The description of the teacher; its single hop is the student's depth."""
    config = checkpoint.config
    weights = file_digest(folder / STUDENT_WEIGHTS)
    own = {"student": asdict(config.student), "encoder": config.encoder.kind}
    value = json.dumps([graph.content_hash, weights, own, config.encoder.digest], sort_keys=True)
    return TeacherInfo(
        kind=STUDENT_KIND,
        model=str(folder),
        model_hash=weights,
        prompt_hash="",
        graph_hash=graph.content_hash,
        graph_name=graph.name,
        label_names=graph.label_names,
        hops=(config.student.layers,),
        settings=own | {"fingerprint": hashlib.sha256(value.encode()).hexdigest()},
    )
