"""Requests of text-embeddings-inference and vLLM, recognised by their fields."""

from pathlib import Path
from typing import Any

import pytest

from tests.bundles import LABELS, TinyBundle, rewrite, write_tiny_bundle
from tests.unit.service.compatible.conftest import asking
from tests.upstream_server import Ask
from understudy.bundle.student import LOGITS_FILE
from understudy.engine.requests import probabilities

NODE = '{"node": {"id": "node-3"}}'


def expected(bundle: TinyBundle, node: int) -> list[float]:
    scores: list[float] = probabilities(bundle.logits[[node]], 2.0)[0].tolist()
    return scores


def test_predict_tells_every_label_best_first(ask: Ask, tiny_bundle: TinyBundle) -> None:
    alone = len(tiny_bundle.logits) - 1
    answer = ask("/predict", {"inputs": tiny_bundle.text(alone), "truncate": True}).json()
    assert [entry["score"] for entry in answer] == sorted(
        (entry["score"] for entry in answer), reverse=True
    )
    scores = {entry["label"]: entry["score"] for entry in answer}
    found = dict(zip(LABELS, expected(tiny_bundle, alone), strict=True))
    assert scores == pytest.approx(found, abs=1e-5)


def test_labels_that_rounding_makes_equal_stand_as_in_our_own_answer(
    tmp_path: Path,
) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    logits = bundle.logits.copy()
    logits[39] = [0, 1, 1.0000002, 0]  # the third is more probable by less than is told
    rewrite(bundle.folder, {LOGITS_FILE: logits})
    own, named = asking(bundle), NODE.replace("node-3", "node-39")
    (prediction,) = own("/classify", {"nodes": [{"id": "node-39"}]}).json()["predictions"]
    assert prediction["label"] == LABELS[2]
    first, second, *_ = own("/predict", {"inputs": named}).json()
    assert (first["label"], first["score"]) == (LABELS[2], second["score"])
    (entry,) = own("/classify", {"input": named}).json()["data"]
    assert entry["label"] == LABELS[2]


def test_predict_answers_a_batch_in_its_order(ask: Ask, tiny_bundle: TinyBundle) -> None:
    body = {"inputs": [["http url"], [NODE]], "raw_scores": True}
    first, second = ask("/predict", body).json()
    assert {entry["label"] for entry in first} == set(LABELS)
    scores = {entry["label"]: entry["score"] for entry in second}
    logits = dict(zip(LABELS, tiny_bundle.logits[3].tolist(), strict=True))
    assert scores == pytest.approx(logits, abs=1e-5)


@pytest.mark.parametrize("inputs", [["http", "url"], [["http", "url"]], ["http"], [[]], []])
def test_predict_refuses_what_may_be_a_pair(ask: Ask, inputs: Any) -> None:
    answer = ask("/predict", {"inputs": inputs})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "inputs"


def test_predict_fails_where_a_node_does(ask: Ask) -> None:
    unknown = '{"node": {"id": "nobody"}}'
    answer = ask("/predict", {"inputs": [[NODE], [unknown]]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_node")


@pytest.mark.parametrize("given", [NODE, ["http url", NODE]])
def test_vllms_classify_is_answered_in_its_form(
    ask: Ask, tiny_bundle: TinyBundle, given: Any
) -> None:
    answer = ask("/classify", {"model": "any", "input": given, "truncate_prompt_tokens": -1})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [entry["index"] for entry in data] == list(range(len(data)))
    last = data[-1]
    assert last["probs"] == pytest.approx(expected(tiny_bundle, 3), abs=1e-5)
    assert last["label"] == LABELS[last["probs"].index(max(last["probs"]))]
    assert last["num_classes"] == len(LABELS)
    assert answer.json()["object"] == "list"


@pytest.mark.parametrize("name", ["use_activation", "activation", "softmax"])
def test_vllms_clients_that_want_scores_get_them(
    ask: Ask, tiny_bundle: TinyBundle, name: str
) -> None:
    for wish, wanted in (
        (False, tiny_bundle.logits[3].tolist()),
        (True, expected(tiny_bundle, 3)),
        (None, expected(tiny_bundle, 3)),
    ):
        (answer,) = ask("/classify", {"input": NODE, name: wish}).json()["data"]
        assert answer["probs"] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"model": "any", "input": "http", "activation": "no"}, "activation"),
        ({"model": "any"}, "model"),
        ({"nodes": [{"id": "node-1"}], "input": "http"}, "input"),
        ({"nodes": [{"idd": "node-1"}]}, "nodes.0.idd"),
        ({"model": "any", "input": [1, 2, 3]}, "input.0"),
        ({"model": "any", "input": []}, "input"),
    ],
)
def test_any_other_body_of_classify_is_refused_as_ours(
    ask: Ask, body: dict[str, Any], field: str
) -> None:
    answer = ask("/classify", body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == field
