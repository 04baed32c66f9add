"""Checks that a model answers prompts that are read together as it answers each alone.

Recurrent layers carry one branch's state into the next, some models accept no custom mask or none
at all, and others have unknown attention windows. So a loaded model is asked both ways once, with a
prompt that exceeds its windows, and shared reading is disabled if the results differ.
"""

import logging
from dataclasses import replace
from typing import Any

import torch

from training.errors import TeacherError
from training.teacher.causal.plain import plain_likelihoods
from training.teacher.causal.teacher import CausalTeacher
from training.teacher.causal.tokens import LEAST_ROOM
from understudy.graph.errors import first_line
from understudy.graph.prompts import Prompt

SAMPLE = "Two rivers meet below the old bridge, and a ferry waits there."
BEYOND = 24  # tokens of a sample beyond a window's end
# Nats per label; half precision rounds each term by some hundredths of a nat.
EXACT = 1e-3
ROUNDED = 0.15  # per token
REFUSALS = (  # errors that models raise for unsupported masks, positions or caches
    AttributeError,
    IndexError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
log = logging.getLogger(__name__)


def checked(teacher: CausalTeacher, name: str) -> CausalTeacher:
    """The teacher, set to one pass per label if reading prompts together is not exact."""
    tell_of_tokens(teacher, name)
    prompts = sample_prompts(teacher)
    if (problem := sharing_problem(teacher, prompts)) is None:
        return teacher
    log.warning(
        "%s cannot read prompts with a common beginning together (%s): each of %d labels takes a "
        "pass of its own, which is exact but slower",
        name,
        problem,
        len(teacher.labels),
    )
    return replace(teacher, shares=False)


def tell_of_tokens(teacher: CausalTeacher, name: str) -> None:
    prompt = Prompt("Sort: a; b.", f"{SAMPLE}\n- {SAMPLE}")
    whole = teacher.tokens.prompt_ids(prompt)
    pieces = teacher.tokens.rows([prompt], len(whole) + 99)[0]
    if (*pieces.head, *pieces.body, *teacher.tokens.tail(prompt)) != whole:
        log.warning("the tokenizer of %s joins words over lines' ends; prompts do not", name)


def sample_prompts(teacher: CausalTeacher) -> list[Prompt]:
    """Two prompts, one a prefix of the other, that exceed any window."""
    tokens, limit = teacher.tokens, teacher.options.max_tokens
    fixed = len(tokens.head(Prompt("", "").head)) + len(teacher.branch.tokens)
    config: Any = teacher.module.config.get_text_config()  # type: ignore[union-attr,operator]
    sizes = [getattr(config, name, 0) or 0 for name in ("sliding_window", "attention_chunk_size")]
    window = max((size for size in sizes if size < limit), default=0)
    wanted = max(window - fixed, 0) + BEYOND
    room = max(min(wanted, limit - fixed), LEAST_ROOM)
    each = max(len(tokens.after_line([SAMPLE + "\n"])[0]), 1)
    lines = [SAMPLE] * max(room // each, 2)
    return [Prompt("", "\n".join(lines[: len(lines) // 2])), Prompt("", "\n".join(lines))]


def sharing_problem(teacher: CausalTeacher, prompts: list[Prompt]) -> str | None:
    """Why prompts may not be read together; None if they may.

    Raises:
        TeacherError: the model does not even answer a plain forward pass.
    """
    responses = teacher.tree.responses
    order = sorted(range(len(responses)), key=lambda at: len(responses[at]))
    at = sorted({order[0], order[-1]})
    labels = [responses[label] for label in at]
    try:
        plain = [plain_likelihoods(teacher.module, [p], labels) for p in teacher.wholes(prompts)]
    except REFUSALS as error:
        raise TeacherError(f"the teacher fails at a plain prompt: {first_line(error)}") from error
    try:
        found, _ = teacher.likelihoods(prompts)
    except REFUSALS as error:
        return first_line(error)
    exact = plain[0][1].dtype == torch.float32
    bound = EXACT if exact else ROUNDED * max(map(len, labels))
    expected = torch.cat([likelihoods for likelihoods, _ in plain]).cpu()
    difference = float((found[:, at] - expected).abs().max())
    log.info("prompts read together differ by %.2g nats at most", difference)
    return None if difference <= bound else f"answers are off by {difference:.2g} nats"
