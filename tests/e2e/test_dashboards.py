"""Alert rules and dashboard against a real service: by name, by unit test, and by Prometheus."""

import json
import math
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.bundles import LABELS, NODES, TinyBundle
from tests.e2e.conftest import Service, serving
from tests.openai_server import openai_server
from tests.programs import free_port, needed, running
from tests.redis_server import redis_server

FOLDER = Path("docker/dashboards")
AUTOSCALER = Path("docker/kubernetes/autoscaler.yaml")
SECONDS = 60
WITH_WORKERS = ["understudy_worker_restarts_total"]  # tests/integration/test_workers.py scrapes it
SAMPLES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((FOLDER / "understudy.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = msgspec.yaml.decode((FOLDER / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def busy(tiny_bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a cache and a teacher, which checks every answer aside."""
    with (
        openai_server(lambda _: f'{{"category": "{LABELS[0]}"}}') as teacher,
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
    ):
        flags = ("--teacher-url", teacher.url, "--redis-url", redis.url, "--shadow-share", "1")
        with serving(tiny_bundle.folder, *flags) as service:
            yield service


def ask_everything(service: Service, turn: int) -> None:
    """Something of each kind that the panels show."""
    unseen = {"text": f"a cursor {turn}", "neighbors": ["node-2"]}
    service.classify(unseen, *({"id": f"node-{number}"} for number in range(8)))
    service.classify({"id": f"node-{turn % NODES}"}, route="teacher")
    service.client.put("/nodes/a", json={"text": f"http {turn}"})
    service.client.put("/nodes/b", json={})
    choice = {"type": "choice", "instructions": "Which?", "criteria": dict.fromkeys(LABELS)}
    asked = {"model": "any", "state": {"node": {"id": "node-1"}}, "questions": {"one": choice}}
    service.client.post("/v1/systemone", json=asked).raise_for_status()


def test_rules_are_well_formed_and_fire_as_they_should() -> None:
    promtool = needed("promtool")
    for words in (("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yml")):
        command = [promtool, *words[:2], str(FOLDER / words[2])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_unit_test() -> None:
    tests = msgspec.yaml.decode((FOLDER / "rules.test.yml").read_text())["tests"]
    fired = {
        case["alertname"]
        for test in tests
        for case in test["alert_rule_test"]
        if case.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules()}


def test_the_guide_says_of_every_alert_what_to_do() -> None:
    lines = Path("docs/guides/operations.md").read_text().splitlines()
    table = " ".join(line.split("|")[1] for line in lines if line.startswith("| `Understudy"))
    assert set(re.findall(r"Understudy\w+", table)) == {rule["alert"] for rule in rules()}


def test_every_metric_that_is_asked_for_exists(busy: Service) -> None:
    kinds = re.findall(r"^# TYPE (\S+) (\S+)$", busy.client.get("/metrics").text, re.MULTILINE)
    exported = {name + end for name, kind in kinds for end in SAMPLES[kind]}
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    queries += [rule["expr"] for rule in rules()]
    asked = set(re.findall(r"\b(?:understudy|process)_\w+", " ".join(queries)))
    assert len(asked) > 20
    scaling = msgspec.yaml.decode(AUTOSCALER.read_text())["spec"]["metrics"]
    asked |= {one["pods"]["metric"]["name"] for one in scaling if "pods" in one}
    assert asked - {"understudy", *WITH_WORKERS} <= exported


@pytest.fixture(scope="module")
def prometheus(busy: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A real Prometheus with our rules, which scrapes the service instead of a container's name."""
    program, folder, port = needed("prometheus"), tmp_path_factory.mktemp("prometheus"), free_port()
    settings = msgspec.yaml.decode((FOLDER / "prometheus.yml").read_text())
    targets = [{"targets": [busy.url.removeprefix("http://")]}]
    settings["scrape_configs"] = [{"job_name": "understudy", "static_configs": targets}]
    settings["global"] = {"scrape_interval": "500ms", "evaluation_interval": "1s"}
    (folder / "prometheus.yml").write_bytes(msgspec.yaml.encode(settings))
    (folder / "rules.yml").write_text((FOLDER / "rules.yml").read_text())
    command = [program, f"--config.file={folder / 'prometheus.yml'}", "--log.level=error"]
    command += [f"--storage.tsdb.path={folder}", f"--web.listen-address=127.0.0.1:{port}"]
    with running(command, port) as url, httpx.Client(base_url=url, timeout=SECONDS) as client:
        yield client


def answers(prometheus: httpx.Client, query: str) -> list[dict[str, str]]:
    """The labels of every series that a query gives a number for."""
    query = query.replace("$__rate_interval", "1m")
    body = prometheus.get("/api/v1/query", params={"query": query}).json()
    assert body["status"] == "success", (query, body)
    result = body["data"]["result"]
    return [one["metric"] for one in result if math.isfinite(float(one["value"][1]))]


def test_every_panel_is_answered_by_prometheus(busy: Service, prometheus: httpx.Client) -> None:
    targets = [target for panel in panels() for target in panel["targets"]]
    deadline, turn = time.monotonic() + SECONDS, 0
    while targets:
        ask_everything(busy, turn := turn + 1)
        silent = []
        for target in targets:
            found = answers(prometheus, target["expr"])
            if not found:
                silent.append(target)
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert all(label in labels for labels in found), target
        targets = silent
        assert time.monotonic() < deadline, [target["expr"] for target in silent]


def test_prometheus_evaluates_every_rule(prometheus: httpx.Client) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
        health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        if "unknown" not in health.values():
            break
        assert time.monotonic() < deadline
    assert health == {rule["alert"]: "ok" for rule in rules()}
