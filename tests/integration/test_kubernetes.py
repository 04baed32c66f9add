"""The manifests in docker/kubernetes, against Kubernetes' own schemas and against each other."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.setting_names import ENVIRONMENT_PREFIX
from service.settings import Settings
from tests.redis_server import in_bytes, most_memory

FOLDER = Path("docker/kubernetes")
VERSION = "1.30"  # the oldest that they are written for


def read(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = msgspec.yaml.decode((FOLDER / f"{name}.yaml").read_text())
    return manifest


MANIFESTS = sorted(file.stem for file in FOLDER.glob("*.yaml"))
WORKLOADS = ("statefulset", "log")


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_what_its_schema_says(name: str) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    kubernetes_validate.validate(read(name), VERSION, strict=True)


def test_a_misspelt_field_is_found() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    wrong = read("disruption")
    wrong["spec"]["maxUnavailible"] = wrong["spec"].pop("maxUnavailable")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_rights_and_writes_to_volumes_alone(name: str) -> None:
    pod = read(name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    [container] = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    assert container["readinessProbe"]


def test_the_log_refuses_changes_before_it_is_killed_even_while_its_file_is_rewritten() -> None:
    [container] = read("log")["spec"]["template"]["spec"]["containers"]
    limit = in_bytes(container["resources"]["limits"]["memory"])
    assert 2 * most_memory(container["args"]) <= limit


def test_the_variables_are_settings_and_what_they_name_is_mounted() -> None:
    pod = read("statefulset")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    variables = {one["name"]: one for one in container["env"]}
    assert pod["enableServiceLinks"] is False  # else UNDERSTUDY_PORT would be the service's
    names = {name.removeprefix(ENVIRONMENT_PREFIX).lower() for name in variables}
    assert names <= set(Settings.model_fields)
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    for name in ("KEYS_FILE", "DATA_FOLDER"):
        path = Path(variables[ENVIRONMENT_PREFIX + name]["value"])
        assert str(path.parent) in mounts
    seconds = sum(
        int(variables[f"{ENVIRONMENT_PREFIX}{name}_SECONDS"]["value"])
        for name in ("GRACE", "DRAIN")
    )
    assert pod["terminationGracePeriodSeconds"] > seconds


def test_the_secret_has_what_is_read_of_it_and_names_the_log_s_service() -> None:
    secret, service = read("secret"), read("service-log")
    pod = read("statefulset")["spec"]["template"]["spec"]
    [log] = [one for one in pod["containers"][0]["env"] if "valueFrom" in one]
    assert log["valueFrom"]["secretKeyRef"]["name"] == secret["metadata"]["name"]
    assert log["valueFrom"]["secretKeyRef"]["key"] in secret["stringData"]
    [keys] = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert keys["secretName"] == secret["metadata"]["name"]
    assert {item["key"] for item in keys["items"]} <= set(secret["stringData"])
    address = f"redis://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/"
    assert secret["stringData"]["log"].startswith(address)


def test_whatever_selects_pods_selects_ours() -> None:
    for workload, selecting in (
        ("statefulset", ("service", "service-replicas", "disruption", "network")),
        ("log", ("service-log", "network-log")),
    ):
        spec = read(workload)["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels
        for name in selecting:
            other = read(name)["spec"]
            selector = other.get("selector") or other["podSelector"]
            assert selector.get("matchLabels", selector) == labels
        ports = {port["name"] for port in spec["template"]["spec"]["containers"][0]["ports"]}
        for name in selecting:
            for port in read(name)["spec"].get("ports", []):
                assert port["targetPort"] in ports
    headless = {read(name)["metadata"]["name"] for name in ("service-replicas", "service-log")}
    assert {read(name)["spec"]["serviceName"] for name in WORKLOADS} == headless
    assert read("autoscaler")["spec"]["scaleTargetRef"]["name"] == "understudy"


def test_a_log_that_is_away_adds_no_replicas() -> None:
    """The seconds of the lag grow on all of them then; the records do not."""
    metrics = read("autoscaler")["spec"]["metrics"]
    asked = {one["pods"]["metric"]["name"] for one in metrics if "pods" in one}
    assert asked == {"understudy_queue_tokens", "understudy_log_lag_records"}
