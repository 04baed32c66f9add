"""Teachers end to end: tuned, asked, killed on the way, within a budget."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer, normalizers

from tests.language_models import write_tiny_encoder, write_tiny_llama
from training.errors import StaleTeacherError, TeacherError
from training.teacher.answers.folder import read_teacher
from training.teacher.causal import CausalOptions
from training.teacher.encoder import EncoderOptions, EncoderTeacher
from training.teacher.local import load_local
from training.teacher.options import Budget, TeachOptions
from training.teacher.teach import teach, tune_local
from training.teacher.tuning import TuningOptions
from training.teacher_server.loading import load_teacher
from understudy.folders import OutputRefusedError
from understudy.graph import load_graph, random_split, save_graph
from understudy.graph.prompts import PromptOptions
from understudy.graph.readers.synthetic import SyntheticOptions, synthetic_graph
from understudy.graph.splits import labeled_nodes

RUN = """
import os, signal, sys
from pathlib import Path
import torch
from tests.integration.test_training_teachers import small
from training.teacher.teach import teach

torch.set_num_threads(1)
graph, out, model, *deaths = sys.argv[1:]

def teach_until(stage, report):
    calls = 0

    def progress(name, done, total):
        nonlocal calls
        calls += name == stage
        if calls == report:
            os.kill(os.getpid(), signal.SIGKILL)

    teach(Path(graph), Path(out), small(model), progress)

for stage, report in zip(deaths[::2], deaths[1::2], strict=True):
    process = os.fork()  # which need not import all of this again
    if not process:
        teach_until(stage, int(report))
        os._exit(0)
    _, status = os.waitpid(process, 0)
    print(os.waitstatus_to_exitcode(status), Path(out).exists(), flush=True)
"""


def small(model: str) -> TeachOptions:
    """Settings with several checkpoints and several parts on a graph of 60 nodes."""
    return TeachOptions(
        model,
        hops=(0, 1),
        prompts=PromptOptions(tokens=30),
        tuning=TuningOptions(epochs=2, batch_size=8, checkpoint_steps=2, validation_nodes=10),
        causal=CausalOptions(rank=4),
        encoder=EncoderOptions(max_tokens=30),
        tokens_per_batch=2_000,
        part_prompts=16,
    )


@pytest.fixture(scope="module")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graphs") / "small"
    save_graph(synthetic_graph(SyntheticOptions(nodes=60, classes=3, mean_degree=4.0)), folder)
    return folder


@pytest.fixture(scope="module")
def models(graph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    words = load_graph(graph_folder).texts.to_pylist()
    return {
        "causal": str(write_tiny_llama(folder / "llama", words)),
        "encoder": f"encoder:{write_tiny_encoder(folder / 'bert', words)}",
    }


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As the processes that are killed have: more would add in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def kill_in(graph: Path, out: Path, model: str, *deaths: tuple[str, int]) -> None:
    """Teaches in processes of their own, one after the other; each is killed at the n-th report of
    a stage."""
    words = [str(word) for death in deaths for word in death]
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(graph), str(out), model, *words],
        capture_output=True,
        text=True,
        check=False,
    )
    ends = [f"{-signal.SIGKILL} False"] * len(deaths)  # and there is no folder yet
    assert done.stdout.splitlines() == ends, done.stderr


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["causal", "encoder"])
def test_a_killed_teacher_ends_where_it_would_have(
    kind: str, graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole" / "teacher", tmp_path / "broken" / "teacher"
    teach(graph_folder, whole, small(models[kind]))
    deaths = ("Tuning the teacher", 3), ("Asking the teacher", 9)  # which is in the third part
    kill_in(graph_folder, broken, models[kind], *deaths)
    teach(graph_folder, broken, small(models[kind]))
    for name in ("answers.safetensors", "tuned.safetensors"):
        expected, found = load_file(whole / name), load_file(broken / name)
        assert expected.keys() == found.keys()
        for key, values in expected.items():
            # A last bit may differ all the same, and so round half precision to its neighbour.
            rtol = 1e-3 if values.dtype == np.float16 else 1e-4
            np.testing.assert_allclose(found[key], values, rtol=rtol, atol=1e-5, err_msg=key)
    assert [path.name for path in broken.parent.iterdir()] == ["teacher"]
    assert (broken / "adapter" / "adapter_config.json").is_file() == (kind == "causal")


def test_the_same_call_again_does_nothing_and_another_graph_is_refused(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    stages: list[str] = []
    info = teach(graph_folder, tmp_path / "t", small(models["encoder"]))
    again = teach(
        graph_folder, tmp_path / "t", small(models["encoder"]), lambda *call: stages.append(call[0])
    )
    assert set(stages) == {"Loading the teacher"}
    graph = load_graph(graph_folder)
    tuned = read_teacher(tmp_path / "t", graph)[1].tuned
    np.testing.assert_array_equal(tuned, labeled_nodes(graph, "train"))
    assert again.settings["fingerprint"] == info.settings["fingerprint"]
    other = synthetic_graph(SyntheticOptions(nodes=60, classes=3, seed=9))
    with pytest.raises(StaleTeacherError, match="run `understudy teach`"):
        read_teacher(tmp_path / "t", other)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("encoder", "tuned.safetensors"), ("causal", "tuned.safetensors"), ("causal", "adapter")],
)
def test_the_same_call_again_makes_what_is_missing(
    graph_folder: Path, models: dict[str, str], tmp_path: Path, kind: str, name: str
) -> None:
    teach(graph_folder, tmp_path / "t", small(models[kind]))
    (tmp_path / "t" / name).rename(tmp_path / "lost")
    teach(graph_folder, tmp_path / "t", small(models[kind]))
    assert (tmp_path / "t" / name).exists()


def test_a_frozen_encoder_is_asked_once_for_all_splits(
    graph_folder: Path, models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    options = small(models["encoder"])
    frozen = replace(
        options,
        prompts=replace(options.prompts, show_labels=False),
        encoder=replace(options.encoder, frozen=True),
    )
    graph = load_graph(graph_folder)
    for seed in (0, 1):
        split = replace(graph, splits=random_split(graph.labels, (0.6, 0.2, 0.2), seed))
        save_graph(split, tmp_path / f"graph{seed}")
    teach(tmp_path / "graph0", tmp_path / "first", frozen)
    (folder,) = (tmp_path / "cache" / "prompts").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    teach(tmp_path / "graph1", tmp_path / "second", frozen)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    first, second = (load_file(tmp_path / n / "answers.safetensors") for n in ("first", "second"))
    np.testing.assert_array_equal(first["features"], second["features"])
    assert not np.array_equal(first["log_probabilities"], second["log_probabilities"])
    assert not first["tuned"].size


def test_another_folder_is_not_replaced(graph_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear all")
    with pytest.raises(OutputRefusedError, match="holds something that understudy did not write"):
        teach(graph_folder, tmp_path, TeachOptions("./nowhere"))
    assert (tmp_path / "letters.txt").read_text() == "dear all"


def test_a_budget_limits_a_teacher_that_runs_here_too(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    """A frozen encoder's head is fitted to what the budget allows: a fifth of it is training."""
    options = small(models["encoder"])
    frozen = replace(options.encoder, frozen=True)
    budget = Budget(calls=40, choice="uncertain")
    info = teach(graph_folder, tmp_path / "t", replace(options, encoder=frozen, budget=budget))
    graph = load_graph(graph_folder)
    _, answers = read_teacher(tmp_path / "t", graph)
    assert 20 <= len(answers.nodes) < 60
    assert (np.diff(answers.nodes) > 0).all()
    assert {"train_accuracy_hop0", "val_accuracy_hop0"} <= info.metrics.keys()
    assert info.settings["budget"]["calls"] == 40


def test_tuning_starts_from_a_fitted_head_and_never_ends_below_it(
    graph_folder: Path, models: dict[str, str], tmp_path: Path
) -> None:
    options = small(models["encoder"])
    options = replace(options, tuning=replace(options.tuning, learning_rate=0.5))
    graph = load_graph(graph_folder)
    teacher, begun = load_local(graph, options), load_local(graph, options)
    assert isinstance(teacher, EncoderTeacher)
    assert isinstance(begun, EncoderTeacher)
    tuning = tune_local(teacher, graph, options, tmp_path, lambda *_: None)
    assert tuning.start is not None
    assert tuning.start > 0.5  # three classes; a head that is not fitted guesses
    assert max(tuning.accuracies) < tuning.start
    for name, weights in begun.module.transformer.state_dict().items():
        assert torch.equal(teacher.module.transformer.state_dict()[name], weights), name
    assert not torch.equal(teacher.module.head.weight, begun.module.head.weight)


def test_another_tokenizer_of_the_same_weights_is_another_teacher(
    graph_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    graph = load_graph(graph_folder)
    model = write_tiny_encoder(tmp_path / "bert", graph.texts.to_pylist())
    usual = small(f"encoder:{model}")
    frozen = replace(  # whose answers to prompts without labels are kept for other splits
        usual, encoder=EncoderOptions(max_tokens=30, frozen=True), hops=(0,),
        prompts=PromptOptions(tokens=30, show_labels=False),
    )  # fmt: skip
    teach(graph_folder, tmp_path / "teacher", frozen)
    _, before = read_teacher(tmp_path / "teacher", graph)
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Replace("e", "o")
    tokenizer.save(str(model / "tokenizer.json"))
    with pytest.raises(TeacherError, match="has another tokenizer, chat template or config"):
        load_teacher(tmp_path / "teacher")
    teach(graph_folder, tmp_path / "teacher", frozen)
    _, after = read_teacher(tmp_path / "teacher", graph)
    assert before.features is not None
    assert after.features is not None
    assert not np.array_equal(before.features, after.features)
    load_teacher(tmp_path / "teacher")
