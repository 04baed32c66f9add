"""`understudy predict` through a real service, in requests that keep to its limits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bundles import NODES, TinyBundle
from tests.e2e.conftest import serving
from tests.e2e.test_client import scripted
from understudy.cli import main
from understudy.client import Client, Node, RefusedError
from understudy.predict.answering import OverHttp
from understudy.predict.errors import ModelChangedError
from understudy.predict.rows import Row

Call = Callable[..., tuple[int, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    def run(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["predict", *map(str, words)])
        return int(ended.value.code or 0), "".join(capsys.readouterr().err.split())

    return run


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_service_answers_as_its_bundle_does(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Call
) -> None:
    """More rows than a request may hold, and a stretch of them that nobody can answer."""
    ids = [f"node-{n % NODES}" for n in range(1_500)]
    ids[200:1_400] = [f"nobody-{n}" for n in range(1_200)]
    source = tmp_path / "in.csv"
    source.write_text("id,text\n" + "".join(f"{i},\n" for i in ids) + ",http socket\n")
    with serving(tiny_bundle.folder, "--max-nodes", "300") as running:
        address = running.url.removeprefix("http://")
        status, output = call(address, source, tmp_path / "service.jsonl", "--top", 2)
    assert status == 0
    assert f"askinghttp://{address}" in output
    assert "1,200ofthemcouldnotbeanswered" in output
    assert call(tiny_bundle.folder, source, tmp_path / "bundle.jsonl", "--top", 2)[0] == 0
    service, bundle = jsonl(tmp_path / "service.jsonl"), jsonl(tmp_path / "bundle.jsonl")
    assert len(service) == 1_501
    for answer in (*service, *bundle):  # the last digits are those of the batch
        for entry in (answer, *answer["top"]):
            entry["score"] = entry["score"] and round(entry["score"], 4)
    assert service == bundle


def test_a_key_is_sent_and_its_want_told(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, source = tmp_path / "keys", tmp_path / "in.csv"
    with pytest.raises(SystemExit):
        main(["key", str(keys), "--name", "test"])
    key = capsys.readouterr().out.split()[-1]
    source.write_text("id\nnode-1\n")
    with serving(tiny_bundle.folder, "--keys-file", str(keys)) as running:
        status, output = call(running.url, source, tmp_path / "out.csv")
        assert (status, "unauthorized" in output) == (1, True)
        assert call(running.url, source, tmp_path / "out.csv", "--key", key)[0] == 0
        teacher = (tmp_path / "t.csv", "--key", key, "--route", "teacher")
        status, output = call(running.url, source, *teacher)
        assert (status, "teacher" in output) == (1, True)


def test_rows_of_which_none_can_be_answered_each_say_why(tiny_bundle: TinyBundle) -> None:
    rows = [
        Row(1, "a:1", Node(id="nobody")),
        Row(2, "a:2", Node(text=" ")),
        Row(3, "a:3", Node(text="http", neighbors=("none",))),
    ]
    with serving(tiny_bundle.folder) as running, Client(running.url) as client:
        answerer = OverHttp(client, "student")
        errors = [str(answer.error).partition(":")[0] for answer in answerer.answer(rows, 1)]
        assert errors == ["unknown_node", "empty_text", "unknown_neighbor"]
        assert answerer.answer([Row(4, "a:4", Node(id="node-1"))], 1)[0].label
        errors = [str(answer.error).partition(":")[0] for answer in answerer.answer(rows, 1)]
        assert errors == ["unknown_node", "empty_text", "unknown_neighbor"]
        answerer.model = "another"
        with pytest.raises(ModelChangedError, match="instead of another"):
            answerer.answer([Row(4, "a:4", Node(id="node-1"))], 1)


def test_what_takes_too_long_at_once_is_asked_in_halves(tiny_bundle: TinyBundle) -> None:
    """A deadline within which a few nodes can be answered, and never all of them."""
    rows = [Row(n, f"a:{n}", Node(id="node-1")) for n in range(9)]
    sizes: list[int] = []

    class Hasty(OverHttp):
        def ask(self, nodes: list[Node], top_k: int) -> Any:
            sizes.append(len(nodes))
            if len(nodes) > 3:
                raise RefusedError(504, "deadline_passed", "no answer in time", {}, "")
            return super().ask(nodes, top_k)

    with serving(tiny_bundle.folder) as running, Client(running.url) as client:
        answers = Hasty(client, "student").answer(rows, 1)
    assert [answer.row for answer in answers] == list(range(9))
    assert all(answer.label for answer in answers)
    assert sizes == [9, 4, 2, 2, 5, 2, 3]


def test_what_answers_and_is_not_the_service_is_told(tmp_path: Path, call: Call) -> None:
    (tmp_path / "in.csv").write_text("id\nnode-1\n")
    with scripted((200, b"{}")) as url:
        status, output = call(url, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (status, f"{url}/infodoesnotanswerlikeanunderstudyservice" in output) == (1, True)


def test_a_lone_word_for_a_missing_value_is_a_neighbour_where_a_node_is_called_so(
    tmp_path: Path, tiny_bundle: TinyBundle, call: Call
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("id,text,neighbors\na,http socket,NA\nb,http socket,\n")
    with serving(tiny_bundle.folder) as running, Client(running.url) as client:
        assert call(running.url, source, tmp_path / "before.jsonl")[0] == 0
        client.put_node("NA", "matrix proof", neighbors=["node-1"])
        assert call(running.url, source, tmp_path / "after.jsonl")[0] == 0
    alone, without = jsonl(tmp_path / "before.jsonl")
    linked, same = jsonl(tmp_path / "after.jsonl")
    assert alone["score"] == without["score"] == same["score"]
    assert linked["score"] != same["score"]
