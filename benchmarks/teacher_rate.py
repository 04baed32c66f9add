"""How fast a teacher is asked and tuned, against its bare forward pass on the same prompts.

    python -m benchmarks.teacher_rate GRAPH [--nodes 300] [--model MODEL]

Asking includes tokenising, bucketing by length, padding and, for a causal model, scoring every
label; the bare pass gets padded batches of the same sizes. Tuning is forward and backward of
batches like those of `understudy teach`, of similar length within, without the optimiser's step.
Rates count the prompts' own tokens. MiniLM is measured in float32 and in bfloat16.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from benchmarks.measure import markdown_table, run_script, side_by_side, write_results
from graph import TextGraph, load_graph
from graph.prompts import Prompt, PromptOptions, graph_prompter
from training.encoders.minilm import length_batches
from training.teachers.causal import CausalOptions, CausalTeacher, load_causal_teacher
from training.teachers.encoder import EncoderOptions, EncoderTeacher, load_encoder_teacher
from training.teachers.extraction import answer_part
from training.teachers.suited import SUITED
from training.terminal import quiet_libraries

TOKENS = 8_192  # of a batch, padding included


def main(
    graph: Annotated[Path, typer.Argument(help="Graph folder.")],
    nodes: Annotated[int, typer.Option(min=1)] = 300,
    model: Annotated[str, typer.Option(help="A causal model; else MiniLM.")] = "",
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Measure, print and write results/teacher_rate.json."""
    quiet_libraries()
    source = load_graph(graph)
    prompts = ask_for(source, nodes)
    labels = torch.from_numpy(np.maximum(source.labels[: len(prompts)], 0))
    teachers = load(source, model)
    works: dict[str, Callable[[], object]] = {}
    for precision, teacher in teachers.items():
        batches = bucketed(teacher, prompts)
        works |= {
            f"bare forward, {precision}": partial(forward, teacher, batches),
            f"asking, {precision}": partial(answer_part, teacher, prompts, TOKENS),
            f"tuning, {precision}": partial(backward, teacher, prompts, labels),
        }
    seconds = side_by_side(works, rounds, warmup=1)
    lengths = next(iter(teachers.values())).lengths(prompts)
    rates = {name: round(sum(lengths) / value) for name, value in seconds.items()}
    ratios = {
        precision: rates[f"asking, {precision}"] / rates[f"bare forward, {precision}"]
        for precision in teachers
    }
    name = model or "minilm"
    table = f"{name}, {len(prompts)} prompts of {source.name}, "
    table += f"{sum(lengths) / len(lengths):.0f} tokens each:\n\n"
    table += markdown_table(["", "tokens a second"], [[k, f"{v:,}"] for k, v in rates.items()])
    for precision, ratio in ratios.items():
        table += f"\nAsking has {ratio:.2f} of the bare forward rate in {precision}.\n"
    write_results("teacher_rate", {"model": name, "rates": rates, "ratios": ratios}, table)
    typer.echo(table)


def load(source: TextGraph, model: str) -> dict[str, EncoderTeacher | CausalTeacher]:
    """The teacher by its precision, ready to be tuned."""
    if model:
        teacher = load_causal_teacher(model, source.label_names, CausalOptions(), tuned=True)
        return {str(teacher.module.dtype).removeprefix("torch."): teacher}
    return {
        precision: load_encoder_teacher(
            None, source.num_classes, EncoderOptions(bf16=precision == "bfloat16")
        )
        for precision in ("float32", "bfloat16")
    }


def ask_for(source: TextGraph, nodes: int) -> list[Prompt]:
    """One prompt a node, its hop 0, 1 or 2."""
    prompter = graph_prompter(source, PromptOptions())
    return [prompter.stored(node, node % 3) for node in range(min(nodes, source.num_nodes))]


def bucketed(
    teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt]
) -> list[dict[str, Any]]:
    """Padded batches of asking's sizes."""
    lengths = teacher.lengths(prompts)
    order = sorted(range(len(prompts)), key=lambda index: lengths[index])
    return [
        pad(teacher, [prompts[index] for index in batch])
        for batch in length_batches(order, lengths, TOKENS)
    ]


def pad(teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt]) -> dict[str, Any]:
    if isinstance(teacher, EncoderTeacher):
        return teacher.batch(prompts)
    return {**teacher.pad(teacher.tokenize(prompts)), "logits_to_keep": 1}


@torch.inference_mode()
def forward(teacher: EncoderTeacher | CausalTeacher, batches: Sequence[dict[str, Any]]) -> None:
    teacher.module.eval()
    for batch in batches:
        teacher.module(**batch)


def backward(
    teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt], labels: Tensor
) -> None:
    """Gradients of one epoch over the prompts, a batch at a time."""
    kind = "encoder" if isinstance(teacher, EncoderTeacher) else "causal"
    order = np.argsort(teacher.lengths(prompts))
    teacher.module.train()
    size = SUITED[kind].batch_size
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        teacher.module.zero_grad()
        teacher.loss([prompts[index] for index in batch], labels[batch]).backward()


if __name__ == "__main__":
    run_script(main)
