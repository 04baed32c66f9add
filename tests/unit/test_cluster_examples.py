"""The KubeRay example: pods by Kubernetes' schema, and what both examples start."""

import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from understudy.cli import build_app

FOLDER = Path("examples/cluster")
VERSION = "1.30"


def job() -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.yaml.decode((FOLDER / "rayjob.yaml").read_text())
    return manifest


def pods() -> list[dict[str, Any]]:
    """The head's, then the workers'."""
    cluster = job()["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [{"apiVersion": "v1", "kind": "Pod", **group["template"]} for group in groups]


@pytest.mark.parametrize("pod", pods(), ids=["head", "workers"])
def test_a_pod_is_what_its_schema_says(pod: dict[str, Any]) -> None:
    """KubeRay's own kinds have no schema in a package: what they hold besides is not checked."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate({**pod, "metadata": {"name": "one"}}, VERSION, strict=True)


@pytest.mark.parametrize("pod", pods(), ids=["head", "workers"])
def test_a_pod_mounts_its_volumes_and_has_no_rights(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    [container] = spec["containers"]
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in spec["volumes"]
    }
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_cluster_has_a_core_for_each_worker_of_its_command() -> None:
    words = shlex.split(job()["spec"]["entrypoint"])
    command = get_command(build_app(words[1])).commands[words[1]]  # type: ignore[attr-defined]
    context = command.make_context(words[1], words[2:])
    assert context.params["ray"] == "auto"
    groups = job()["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    cores = sum(one["replicas"] * int(one["rayStartParams"]["num-cpus"]) for one in groups)
    assert context.params["workers"] == cores
    for group in groups:
        [container] = group["template"]["spec"]["containers"]
        assert container["resources"]["requests"]["cpu"] == group["rayStartParams"]["num-cpus"]


def test_compose_starts_workers_that_join_the_head_when_it_is_well() -> None:
    services = msgspec.yaml.decode((FOLDER / "compose.yaml").read_text())["services"]
    head, worker = services["head"], services["worker"]
    [port] = [word.partition("=")[2] for word in head["command"] if word.startswith("--port=")]
    assert f"--address=head:{port}" in worker["command"]
    assert worker["depends_on"]["head"]["condition"] == "service_healthy"
    assert head["healthcheck"]
    assert "ports" not in head  # whoever reaches a head may run what he likes
    assert head["volumes"] == worker["volumes"]
    assert head["environment"] == worker["environment"]
