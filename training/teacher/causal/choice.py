"""Chooses how an untuned model compares labels: the most accurate way on validation."""

import logging
from dataclasses import replace

import torch

from training.teacher.causal.scores import AUTO, MEAN, PRIOR, SUM, compared
from training.teacher.causal.teacher import CausalTeacher
from training.teacher.tuning import Examples, TuningOptions, tuning_nodes
from understudy.graph.prompts import Prompt

log = logging.getLogger(__name__)


def with_chosen_scores(
    teacher: CausalTeacher, examples: Examples, options: TuningOptions
) -> CausalTeacher:
    """The teacher with its scores chosen, if its options leave them open."""
    if teacher.options.scores != AUTO:
        return teacher
    _, nodes = tuning_nodes(examples, options)
    if options.epochs or not len(nodes):
        return with_scores(teacher, SUM)
    hops = examples.hops
    prompts = [
        examples.prompter.stored(node, hops[place % len(hops)])
        for place, node in enumerate(nodes.tolist())
    ]
    likelihoods, _ = teacher.likelihoods([*prompts, Prompt(prompts[0].instruction, "")])
    labels = torch.from_numpy(examples.labels[nodes])
    right = {}
    for scores in (SUM, MEAN, PRIOR):
        found = compared(likelihoods[:-1], teacher.label_lengths, likelihoods[-1:], scores)
        right[scores] = int((found.argmax(1) == labels).sum())
    best = max(right, key=lambda scores: right[scores])
    log.info("labels compare by their %s: right about %s of %d", best, right, len(nodes))
    return with_scores(teacher, best)


def with_scores(teacher: CausalTeacher, scores: str) -> CausalTeacher:
    return replace(teacher, options=replace(teacher.options, scores=scores))
