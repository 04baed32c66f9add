"""Digests of everything that a teacher's answers depend on, which make runs resumable."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from training.teacher.options import TeachOptions
from understudy.graph import TextGraph
from understudy.graph.prompts import Prompt, prompt_hash, prompt_settings

ORDER = "a node's prompts side by side"  # version of the order in which answers are stored


def fingerprint(graph: TextGraph, options: TeachOptions, weights: str, reading: str = "") -> str:
    """SHA-256 of everything that the answers depend on.

    Args:
        reading: how a local model reads texts, see `training.teacher.reading`.
    """
    value = {
        "graph": graph.content_hash,
        "prompts": prompt_hash(options.prompts, graph.label_names),
        "weights": weights,
        "kind": options.kind,
        "settings": settings(options),
        **({"reading": reading} if reading else {}),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def settings(options: TeachOptions) -> dict[str, Any]:
    """The options that answers depend on: no keys, addresses, or options that only affect time."""
    kept: dict[str, Any] = {
        "hops": list(options.hops),
        "prompts": prompt_settings(options.prompts),
        **options.budget.settings,
    }
    if options.endpoint is not None:
        chat = options.endpoint.wire == "chat"
        names = ("top", "constraint", "thinking") if chat else ("wire", "most_choices")
        return kept | {name: getattr(options.endpoint, name) for name in ("model", *names)}
    own = options.encoder if options.kind == "encoder" else options.causal
    kept |= {"tuning": asdict(options.tuning), options.kind: asdict(own)}
    # Batches affect the last bits of an answer, which a resumed run must reproduce.
    sizes = {"tokens_per_batch": options.tokens_per_batch, "part_prompts": options.part_prompts}
    return kept | sizes


def prompts_digest(
    prompts: Sequence[Prompt], model: str, classes: int, options: TeachOptions
) -> str:
    """SHA-256 of what the answers of an untuned encoder depend on; `model` holds its digests."""
    sizes = options.encoder.max_tokens, options.tokens_per_batch, options.part_prompts
    precision = " bf16" if options.encoder.bf16 else ""
    digest = hashlib.sha256(f"{model} {classes} {sizes}{precision} {ORDER}".encode())
    for prompt in prompts:
        digest.update(prompt.description.encode() + b"\0")
    return digest.hexdigest()[:32]
