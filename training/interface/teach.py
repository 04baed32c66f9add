"""`understudy.teach`: the teaching program as a function."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from training import student_teacher as teaching
from training.cluster.places import teacher_place
from training.errors import TeacherError
from training.teacher.answers.folder import TeacherInfo
from training.teacher.causal import CausalOptions
from training.teacher.choices import TeacherChoices, refuse_unread_choices
from training.teacher.defaults import Precision, Scores
from training.teacher.hardness import check_order
from training.teacher.named import parse_endpoint
from training.teacher.options import Budget, Choice
from training.teacher.readers import READERS
from understudy.cluster.errors import ClusterError
from understudy.cluster.options import check_cluster
from understudy.graph.cached_graph import GraphSource, graph_folder
from understudy.graph.folder import read_meta
from understudy.graph.readers.label_descriptions import checked_descriptions
from understudy.plain_arguments import plain_arguments
from understudy.progress import Progress, silent

CAUSAL = CausalOptions()


@plain_arguments(TeacherError)
def teach(
    graph: GraphSource,
    out: Path | str,
    *,
    teacher: str = "encoder",
    hops: Sequence[int] | None = None,
    tokens: int | None = None,
    nested: bool | None = None,
    show_labels: bool = True,
    label_descriptions: Mapping[str, str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    accumulate: int = 1,
    learning_rate: float | None = None,
    max_train_nodes: int = 0,
    max_nodes: int = 0,
    budget: int = 0,
    budget_choice: Choice | None = None,
    budget_hard: Mapping[str, float] | None = None,
    tuned_layers: int = 0,
    frozen: bool = False,
    bf16: bool = False,
    max_tokens: int = CAUSAL.max_tokens,
    precision: Precision = "auto",
    scores: Scores = "auto",
    rank: int = CAUSAL.rank,
    four_bit: bool = False,
    gradient_checkpointing: bool = False,
    tokens_per_batch: int = 8_192,
    seed: int = 0,
    ray: str = "",
    workers: int = 0,
    progress: Progress = silent,
    force: bool = False,
) -> TeacherInfo:
    """Tunes a language model on a graph and asks it about every node; resumes after a kill.

    Args:
        graph: in memory, or its folder.
        out: teacher folder to write.
        teacher: encoder (MiniLM), encoder:FOLDER, gemma, gguf:FILE, a causal model's folder or
            hub id, an endpoint (openai:URL#model, decisions:URL#model, systemone:URL#model; the
            key is read from OPENAI_API_KEY), or a student's folder, as `distill` writes it.
        hops: to ask about; by default 0, 1 and 2, or 2 alone for an endpoint.
        tokens: length of a node's description; None, here and below, selects a value that suits
            the teacher.
        nested: a hop's description extends that of the hop before by one ring.
        show_labels: show neighbours' training labels in prompts.
        label_descriptions: a line about each label, shown in prompts.
        epochs: maximum number of tuning epochs.
        batch_size: prompts per step.
        accumulate: number of parts in which a step reads its prompts, to save memory.
        learning_rate: peak; by default 2e-5 for an encoder, 2e-4 for a causal model.
        max_train_nodes: training nodes to tune a transformer on; 0 takes all.
        max_nodes: nodes to ask about; 0 asks about all.
        budget: number of questions to ask, one per node and hop; 0 is no limit.
        budget_choice: which nodes to ask about first: those that labels leave uncertain, or
            random ones; by default random for `max_nodes`, otherwise uncertain.
        budget_hard: difficulty of each node by id, used instead of the labels' uncertainty.
        tuned_layers: number of upper encoder layers to tune; 0 tunes all.
        frozen: tune only an encoder's head: the cheapest teacher.
        bf16: run an encoder in bfloat16.
        max_tokens: length of a causal model's whole prompt, including all labels.
        precision: of a causal model; auto is bfloat16 if the hardware supports it.
        scores: how an untuned causal model compares labels; auto is the best on validation.
        rank: of a causal model's adapters.
        four_bit: load a causal model's weights in 4 bits, on CUDA.
        gradient_checkpointing: of a causal model: less memory for more time.
        tokens_per_batch: when asking.
        seed: of tuning and of all random choices.
        ray: ask on a Ray cluster: local for one on this machine, auto for the running one, or
            HOST:PORT of its head; empty: in this process.
        workers: number of concurrent `ray` workers; 0: one per GPU, or per core without GPUs.
        progress: called as work advances, with a stage, the amount done and the total.
        force: replace `out` even if it is another kind of folder.

    Returns:
        The description of the teacher in `out`, with its accuracies among the metrics.

    Raises:
        ClusterError: no cluster can be joined, or its workers fail.
        FolderError, GraphError, TrainingError: see `understudy.folders.errors`,
            `understudy.graph.errors` and `training.errors`; an argument that this teacher does not
            read is refused.
    """
    check_cluster(ray, workers)
    check_order(bool(budget or max_nodes), budget_hard is not None, budget_choice)
    folder = graph_folder(graph)
    described = label_descriptions and checked_descriptions(
        (("label_descriptions", *pair) for pair in label_descriptions.items()),
        read_meta(folder)["label_names"],
        "label_descriptions",
    )
    choices = TeacherChoices(
        teacher=teacher,
        hops=hops,
        tokens=tokens,
        nested=nested,
        show_labels=show_labels,
        label_descriptions=described or (),
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        learning_rate=learning_rate,
        max_train_nodes=max_train_nodes,
        budget=Budget(
            max_nodes,
            budget,
            choice=budget_choice or ("uncertain" if budget or budget_hard else "random"),
            hard=budget_hard or {},
        )
        if max_nodes or budget
        else None,
        tuned_layers=tuned_layers,
        frozen=frozen,
        bf16=bf16,
        max_tokens=max_tokens,
        precision=precision,
        scores=scores,
        rank=rank,
        four_bit=four_bit,
        gradient_checkpointing=gradient_checkpointing,
        tokens_per_batch=tokens_per_batch,
        endpoint=parse_endpoint(teacher),
        seed=seed,
    )
    refuse_unread_choices(choices, READERS)
    if ray and choices.kind not in READERS["ray"]:
        raise ClusterError(
            f"ray is read by these teachers: {', '.join(READERS['ray'])}; this one is of the kind "
            f"'{choices.kind}', so leave it out"
        )
    with teacher_place(ray, workers, folder) if ray else nullcontext() as place:
        return teaching.teach(folder, Path(out), choices.options(), progress, force, place)
