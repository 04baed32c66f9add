"""Loads a causal language model, with adapters, and verifies its answers."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from training.errors import TeacherError
from training.teacher.causal.adapters import quantization, with_adapters
from training.teacher.causal.check import checked
from training.teacher.causal.label_tree import label_tree
from training.teacher.causal.options import CausalOptions
from training.teacher.causal.shared import branch_of
from training.teacher.causal.teacher import CausalTeacher
from training.teacher.causal.tokens import Ids, Tokens, model_tokens
from training.teacher.causal.weights import find_weights, local_folder, weights_digest
from training.teacher.reading import reading_digest
from understudy.graph.errors import first_line
from understudy.graph.prompts import Prompt

log = logging.getLogger(__name__)


def load_causal_teacher(
    name: str, label_names: Sequence[str], options: CausalOptions, tuned: bool, seed: int = 0
) -> CausalTeacher:
    """Loads a model; code from its repository is never run.

    Args:
        name: gemma, gguf:FILE, a folder, or an id on the hub.
        tuned: adds adapters for tuning; otherwise the model answers unchanged.

    Raises:
        TeacherError: the model is missing, its tokenizer has no end token, or 4-bit weights are
            requested but unavailable.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    weights = find_weights(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.name, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_pretrained(
            weights.name,
            trust_remote_code=False,
            dtype=getattr(torch, precision_of(options.precision, device)),
            **quantization(options, device),
        )
        digest = weights.digest or weights_digest(weights.name)
        reading = reading_digest(local_folder(weights.name))
    except (OSError, ValueError) as error:
        raise TeacherError(f"cannot load the teacher {name!r}: {first_line(error)}") from error
    if not options.four_bit:  # quantised weights are on the device already
        model = model.to(device)
    if tuned:
        model = with_adapters(model, options, seed)
    tokens = model_tokens(tokenizer, name)
    teacher = causal_teacher(model.eval(), tokens, label_names, options, digest)
    return checked(replace(teacher, reading=reading), name)


def precision_of(precision: str, device: str | None = None) -> str:
    """Resolves a precision to float32 or bfloat16 for this machine.

    auto is bfloat16 only with hardware support, since it is slower otherwise.
    """
    if precision != "auto":
        return precision
    cuda = torch.cuda.is_available() if device is None else device == "cuda"
    able = torch.cpu.get_capabilities()
    fast = cuda or able.get("avx512_bf16", False) or able.get("amx_bf16", False)
    return "bfloat16" if fast else "float32"


def causal_teacher(
    module: nn.Module,
    tokens: Tokens,
    label_names: Sequence[str],
    options: CausalOptions,
    digest: str,
) -> CausalTeacher:
    """Wraps a loaded model as a teacher of these labels."""
    labels = [tokens.label(name) for name in label_names]
    check_distinct(labels, label_names)
    tree = label_tree(labels, tokens.frame.end)
    branch = branch_of(tokens.tail(Prompt("", "")), tree)
    config: Any = module.config.get_text_config()  # type: ignore[union-attr,operator]
    # The model's maximum length, of which an answer needs a part.
    positions = int(getattr(config, "max_position_embeddings", 0) or options.max_tokens * 2)
    most = positions - max(map(len, labels)) - 1
    if options.max_tokens > most:
        log.warning("prompts are cut at %d tokens, the model's maximum", most)
        options = replace(options, max_tokens=most)
    ended = tuple((*label, tokens.frame.end) for label in labels)
    return CausalTeacher(module, tokens, options, ended, tree, branch, digest)


def check_distinct(labels: Sequence[Ids], label_names: Sequence[str]) -> None:
    """Refuses labels that the model cannot distinguish.

    Raises:
        TeacherError: its tokenizer, which may compose accents or drop capitals, reads two alike.
    """
    first: dict[Ids, str] = {}
    for ids, name in zip(labels, label_names, strict=True):
        if (other := first.setdefault(ids, name)) != name:
            raise TeacherError(
                f"the teacher's tokenizer reads the labels {other!r} and {name!r} alike; rename one"
            )
