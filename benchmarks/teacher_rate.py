"""How fast a teacher is asked, against its bare forward pass on the same batches.

    python -m benchmarks.teacher_rate GRAPH [--nodes 300] [--model MODEL]

Asking includes tokenising, bucketing by length, padding and, for a causal model, scoring every
label; the bare pass gets padded batches of the same sizes. Rates count the prompts' own tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from benchmarks.measure import markdown_table, run_script, side_by_side, write_results
from graph import TextGraph, load_graph
from graph.prompts import Prompt, PromptOptions, graph_prompter
from training.encoders.minilm import length_batches
from training.teachers.causal import CausalOptions, CausalTeacher
from training.teachers.causal_loading import load_causal_teacher
from training.teachers.encoder import EncoderOptions, EncoderTeacher, load_encoder_teacher
from training.teachers.extraction import answer_part
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
    teacher = load(source, model)
    prompts = ask_for(source, nodes)
    lengths = teacher.lengths(prompts)
    order = sorted(range(len(prompts)), key=lambda index: lengths[index])
    batches = [
        pad(teacher, [prompts[index] for index in batch])
        for batch in length_batches(order, lengths, TOKENS)
    ]
    seconds = side_by_side(
        {
            "asking": lambda: answer_part(teacher, prompts, TOKENS),
            "bare forward": lambda: forward(teacher, batches),
        },
        rounds,
        warmup=1,
    )
    rates = {name: round(sum(lengths) / value) for name, value in seconds.items()}
    ratio = seconds["bare forward"] / seconds["asking"]
    rows = [[name, f"{rate:,}"] for name, rate in rates.items()]
    table = f"{model or 'MiniLM'}, {len(prompts)} prompts of {source.name}, "
    table += f"{sum(lengths) / len(lengths):.0f} tokens each; ratio {ratio:.2f}\n\n"
    table += markdown_table(["", "tokens a second"], rows)
    name = model or "minilm"
    write_results("teacher_rate", {"model": name, "rates": rates, "ratio": ratio}, table)
    typer.echo(table)


def load(source: TextGraph, model: str) -> EncoderTeacher | CausalTeacher:
    if model:
        return load_causal_teacher(model, source.label_names, CausalOptions(), tuned=False)
    return load_encoder_teacher(None, source.num_classes, EncoderOptions())


def ask_for(source: TextGraph, nodes: int) -> list[Prompt]:
    """One prompt a node, its hop 0, 1 or 2."""
    prompter = graph_prompter(source, PromptOptions())
    return [prompter.stored(node, node % 3) for node in range(min(nodes, source.num_nodes))]


def pad(teacher: EncoderTeacher | CausalTeacher, prompts: Sequence[Prompt]) -> dict[str, Any]:
    if isinstance(teacher, EncoderTeacher):
        return teacher.batch(prompts)
    return {**teacher.pad(teacher.tokenize(prompts)), "logits_to_keep": 1}


@torch.inference_mode()
def forward(teacher: EncoderTeacher | CausalTeacher, batches: Sequence[dict[str, Any]]) -> None:
    for batch in batches:
        teacher.module(**batch)


if __name__ == "__main__":
    run_script(main)
