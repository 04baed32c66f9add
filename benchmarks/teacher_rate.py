"""Measures tokens per second of asking and tuning a teacher, against its bare forward pass.

    python -m benchmarks.teacher_rate GRAPH [--nodes 300] [--model gemma]

Asking includes tokenising, bucketing by length, padding and, for a causal model, scoring every
label; the bare pass gets padded batches of the same sizes. Tuning is forward and backward of
batches like those of `understudy teach`, of similar length within, without the optimiser's step.
Rates count the prompts' own tokens. MiniLM is measured in float32 and in bfloat16, on one prompt a
node; a causal model in its precision, on all hops of every node: asked in one pass a node, and, as
it is done elsewhere, in a pass a prompt, whose labels are scored by a tree all the same.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.common.command import run_script
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.common.timing import side_by_side
from training.encoders.minilm import length_batches
from training.teacher.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teacher.causal.chains import Chain, batches_of
from training.teacher.causal.forward import forward_at, padded, places
from training.teacher.causal.shared import Heads, read_chains
from training.teacher.defaults import DEFAULTS
from training.teacher.encoder import EncoderOptions, EncoderTeacher, load_encoder_teacher
from training.teacher.extract import answer_part, asking_order, gather_questions
from training.terminal import quiet_libraries
from understudy.graph import TextGraph, load_graph
from understudy.graph.prompts import Prompt, PromptOptions, graph_prompter

TOKENS = 8_192  # of a batch, padding included
Precision = Literal["auto", "float32", "bfloat16"]


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    nodes: Annotated[int, typer.Option(min=1)] = 300,
    model: Annotated[str, typer.Option(help="A causal model, as of --teacher; else MiniLM.")] = "",
    precision: Annotated[Precision, typer.Option(help="Of a causal model.")] = "auto",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    tuned: Annotated[int, typer.Option(min=1, help="Prompts of a round of tuning.")] = 300,
) -> None:
    """Measure, print and write results/teacher_rate.json, or teacher_rate_MODEL.json."""
    quiet_libraries()
    source = load_graph(graph)
    prompts, owners = ask_for(source, nodes, DEFAULTS["causal" if model else "encoder"].nested)
    labels = torch.from_numpy(np.maximum(source.labels[owners], 0))
    teachers = load(source, model, precision)
    works: dict[str, Callable[[], object]] = {}
    for name, teacher in teachers.items():
        batches = bucketed(teacher, prompts)
        works |= {
            f"bare forward, {name}": partial(forward, teacher, batches),
            f"asking, {name}": partial(answer_part, teacher, prompts, TOKENS),
            f"tuning, {name}": partial(backward, teacher, prompts[:tuned], labels[:tuned]),
        }
        if isinstance(teacher, CausalTeacher):
            works[f"asking, a pass a prompt, {name}"] = partial(pass_a_prompt, teacher, prompts)
    seconds = side_by_side(works, rounds, warmup=1)
    lengths = next(iter(teachers.values())).lengths(prompts)
    read = {name: sum(lengths[:tuned] if "tuning" in name else lengths) for name in works}
    rates = {name: round(read[name] / value) for name, value in seconds.items()}
    text, ratios = report(rates, teachers)
    title = f"{model or 'minilm'}, {len(prompts)} prompts about {nodes} nodes of {source.name}, "
    title += f"{source.num_classes} labels, {sum(lengths) / len(lengths):.0f} tokens each:\n\n"
    own = f"_{Path(model).name}" if model else ""
    results = {"model": model or "minilm", "rates": rates, "ratios": ratios}
    publish_results(f"teacher_rate{own}", results, title + text)


def report(
    rates: dict[str, int], teachers: dict[str, EncoderTeacher | CausalTeacher]
) -> tuple[str, dict[str, float]]:
    """Makes the table, and the ratios of the rate of asking to the other rates."""
    table = markdown_table(["", "tokens a second"], [[k, f"{v:,}"] for k, v in rates.items()])
    ratios = {}
    for precision, teacher in teachers.items():
        ratio = rates[f"asking, {precision}"] / rates[f"bare forward, {precision}"]
        ratios[precision] = ratio
        table += f"\nAsking has {ratio:.2f} of the bare forward rate in {precision}.\n"
        if isinstance(teacher, CausalTeacher):
            other = rates[f"asking, {precision}"] / rates[f"asking, a pass a prompt, {precision}"]
            ratios[f"a pass a prompt, {precision}"] = other
            table += f"\nOne pass a node is {other:.2f} times as fast as a pass a prompt.\n"
    return table, ratios


def load(
    source: TextGraph, model: str, precision: Precision
) -> dict[str, EncoderTeacher | CausalTeacher]:
    """Loads the teacher in a precision, ready to be tuned."""
    if model:
        options = CausalOptions(precision=precision)
        teacher = load_causal_teacher(model, source.label_names, options, tuned=True)
        return {str(teacher.module.dtype).removeprefix("torch."): teacher}
    return {
        precision: load_encoder_teacher(
            None, source.num_classes, EncoderOptions(bf16=precision == "bfloat16")
        )
        for precision in ("float32", "bfloat16")
    }


def ask_for(source: TextGraph, nodes: int, nested: bool) -> tuple[list[Prompt], list[int]]:
    """One prompt a node, its hop 0, 1 or 2, or all three of each; and the nodes they are about."""
    count = min(nodes, source.num_nodes)
    if not nested:
        prompter = graph_prompter(source, PromptOptions())
        return [prompter.stored(node, node % 3) for node in range(count)], list(range(count))
    drawn = np.random.default_rng(0).permutation(source.num_nodes)[:count]
    prompter = graph_prompter(source, PromptOptions(DEFAULTS["causal"].tokens, nested=True))
    questions = gather_questions(prompter.stored, DEFAULTS["causal"].hops, drawn)
    order = asking_order(questions)
    owner = {
        prompt: node for row in questions.which for prompt, node in zip(row, drawn, strict=True)
    }
    return [questions.prompts[at] for at in order], [int(owner[at]) for at in order]


def bucketed(
    teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt]
) -> list[dict[str, Any]]:
    """Makes padded batches of the sizes that asking uses."""
    lengths = teacher.lengths(prompts)
    order = sorted(range(len(prompts)), key=lambda index: lengths[index])
    return [
        pad(teacher, [prompts[index] for index in batch])
        for batch in length_batches(order, lengths, TOKENS)
    ]


def pad(teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt]) -> dict[str, Any]:
    if isinstance(teacher, EncoderTeacher):
        return teacher.batch(prompts)
    return padded(teacher.wholes(prompts), 0, teacher.device)


@torch.inference_mode()
def forward(teacher: EncoderTeacher | CausalTeacher, batches: Sequence[dict[str, Any]]) -> None:
    teacher.module.eval()
    for batch in batches:
        if isinstance(teacher, EncoderTeacher):
            teacher.module(**batch)
        else:
            size, width = batch["input_ids"].shape
            forward_at(teacher.module, *places([width - 1] * size, [1] * size), **batch)


def pass_a_prompt(teacher: CausalTeacher, prompts: Sequence[Prompt]) -> None:
    """Answers prompts that share nothing but the first token."""
    teacher.module.eval()
    chains = [
        Chain(
            row.head[:1], (*row.head[1:], *row.body), (len(row.head) + len(row.body) - 1,), ((0,),)
        )
        for row in teacher.rows(prompts)
    ]
    for batch in batches_of(chains, len(teacher.branch.tokens), TOKENS, teacher.branches_per_batch):
        logits, _ = read_chains(teacher.module, Heads(), batch, teacher.branch)
        teacher.tree.likelihoods(logits.flatten(0, 1))


def backward(
    teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt], labels: Tensor
) -> None:
    """Computes the gradients of one epoch over the prompts, batch by batch."""
    kind = "encoder" if isinstance(teacher, EncoderTeacher) else "causal"
    order = np.argsort(teacher.lengths(prompts))
    teacher.module.train()
    size = DEFAULTS[kind].batch_size
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        teacher.module.zero_grad()
        teacher.loss([prompts[index] for index in batch], labels[batch]).backward()


if __name__ == "__main__":
    run_script(main)
