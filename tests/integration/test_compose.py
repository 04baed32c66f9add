"""The compose files and the Dockerfile, against compose, the settings and each other."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from service.setting_names import ENVIRONMENT_PREFIX
from service.settings import Settings
from tests.redis_server import in_bytes, most_memory
from understudy.cli import VARIABLES, build_app

FOLDER = Path("docker")
PROFILES = ("dashboards", "gpu", "refresh", "teacher", "teacher-gpu")
OVERRIDES = ("compose.keys.yaml", "compose.replicas.yaml")
OF_COMMANDS = {name.lower() for name in VARIABLES}
OF_OTHERS = {"teacher-gpu"}  # an image that needs its own root


def read(name: str) -> dict[str, Any]:
    services: dict[str, Any] = msgspec.yaml.decode((FOLDER / name).read_text())["services"]
    return services


SERVICES = read("compose.yaml")
DOCKERFILE = (FOLDER / "Dockerfile").read_text()


@pytest.mark.parametrize(
    ("flags", "override"),
    [([], None), *((["--profile", one], None) for one in PROFILES), *(([], o) for o in OVERRIDES)],
)
def test_compose_reads_the_files(flags: list[str], override: str | None, tmp_path: Path) -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    (tmp_path / "keys.json").write_text("{}")
    files = ["compose.yaml", *([override] if override else [])]
    named = [word for file in files for word in ("-f", str(FOLDER / file))]
    command = [program, *named, *flags, "config", "--quiet"]
    variables = {"PATH": "/usr/bin:/bin", "KEYS_FILE": str(tmp_path / "keys.json")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_are_just_these_profiles() -> None:
    named = {profile for one in SERVICES.values() for profile in one.get("profiles", ())}
    assert named == set(PROFILES)


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - OF_OTHERS))
def test_a_container_has_no_rights_and_bounds(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= service.keys()
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:")


def test_a_redis_is_full_before_its_container_is() -> None:
    cache, log = SERVICES["cache"], read("compose.replicas.yaml")["log"]
    assert most_memory(cache["command"]) < in_bytes(cache["mem_limit"])
    copied = 2 * most_memory(log["command"])  # while its file is rewritten
    assert copied <= in_bytes(log["mem_limit"])


def test_replicas_can_be_started_since_the_balancer_alone_has_the_port() -> None:
    assert not {"ports", "container_name"} & SERVICES["service"].keys()
    assert SERVICES["balancer"]["ports"]
    assert "service" in SERVICES["service-gpu"]["networks"]["default"]["aliases"]


def test_every_variable_is_a_setting() -> None:
    for name in ("compose.yaml", *OVERRIDES):
        for service in read(name).values():
            for variable in service.get("environment", ()):
                if variable.startswith(ENVIRONMENT_PREFIX):
                    setting = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
                    assert setting in Settings.model_fields.keys() | OF_COMMANDS


def test_what_is_built_and_mounted_is_there() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["target"] in stages
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (FOLDER / source).exists()


def test_the_image_tells_the_package_s_version() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert f"ARG VERSION={project['version']}\n" in DOCKERFILE


def test_no_stage_of_the_image_that_runs_is_root() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)
    for stage in stages:
        if re.match(r"\S+ AS (serving|builder|balancer)\n", stage):
            users = re.findall(r"^USER (\S+)$", stage, re.MULTILINE)
            assert users == ["understudy"]


def test_the_demo_s_commands_take_their_options() -> None:
    lines = re.findall(r"^understudy (.+)$", (FOLDER / "make-demo").read_text(), re.MULTILINE)
    timed = " ".join(SERVICES["refresh"]["command"]).replace("$$TOLERANCE", "0.5")
    lines += re.findall(r"understudy (.+?) \|\|", timed)
    assert [line.split()[0] for line in lines] == ["data", "teach", "distill", "export", "refresh"]
    for line in lines:
        name, *words = shlex.split(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", line))
        group = get_command(build_app(name))
        assert hasattr(group, "commands")
        command = group.commands[name]
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(name, words)  # refuses what it does not know
