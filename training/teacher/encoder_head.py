"""The head of an encoder teacher, fitted to the features of an untuned transformer.

Tuning starts from such a head; for a frozen encoder, the cheapest teacher, it is all that is
fitted. Tuning a transformer on two cores takes minutes per epoch; a head on stored features takes
seconds, and sees every training node at every hop.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from training.errors import TeacherError
from training.folds import training_folds
from training.teacher.answers.folder import HopAnswers
from training.teacher.encoder import EncoderTeacher
from training.teacher.extract import extract, gather_questions
from training.teacher.head import answers_out_of_fold, fit_head, head_answers
from training.teacher.options import TeachOptions
from training.teacher.tuning import Examples, tuning_nodes
from understudy.graph import TextGraph
from understudy.graph.splits import labeled_nodes
from understudy.progress import Progress


def start_head(
    teacher: EncoderTeacher,
    examples: Examples,
    options: TeachOptions,
    folder: Path,
    progress: Progress,
) -> None:
    """Fits the head to the untuned features of the nodes that tuning will see.

    Their answers are kept in `folder`, in case the run is killed.
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
    """The answers of an untuned encoder with a head fitted to its features.

    Answers about training nodes come from heads that had not seen them.

    Raises:
        TeacherError: so few nodes are asked about that no training node is among them.
    """
    assert answers.features is not None
    train, val = (
        np.flatnonzero(np.isin(answers.nodes, labeled_nodes(graph, split)))
        for split in ("train", "val")
    )
    if not len(train):
        raise TeacherError(
            "the teacher is not asked about any training node; raise --max-nodes or --budget"
        )
    labels = graph.labels[answers.nodes]
    classes, seed = graph.num_classes, options.tuning.seed
    head = fit_head(answers.features, labels, train, val, classes, seed, progress)
    teacher.module.head = head
    values = head_answers(head, answers.features)
    folds = training_folds(graph, answers.nodes[train], seed)
    values[:, train] = answers_out_of_fold(
        answers.features, labels, train, val, folds, classes, seed, progress
    )
    return replace(answers, log_probabilities=values)
