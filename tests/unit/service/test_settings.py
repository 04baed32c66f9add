"""Precedence of flags, environment and defaults; which addresses may be used."""

import re
import sys
from pathlib import Path

import pytest

from service.app import check_root
from service.errors import SettingsError
from service.http.guard import is_local
from service.settings import load_settings
from understudy.cli import main
from understudy.graph.log.streams.options import RedisLogOptions


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_PORT", "9000")
    monkeypatch.setenv("UNDERSTUDY_MAX_NODES", "5")
    settings = load_settings(port=9001, max_nodes=None)
    assert (settings.port, settings.max_nodes, settings.limits.nodes) == (9001, 5, 5)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("flags", "name"),
    [({"port": -1}, "--port"), ({"provider": "tpu"}, "--provider"), ({"threads": 0}, "--threads")],
)
def test_a_wrong_value_is_named(flags: dict[str, object], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_settings(**flags)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_MAX_TOP_K", "many")
    with pytest.raises(SettingsError, match="UNDERSTUDY_MAX_TOP_K"):
        load_settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("max-nodes = 5", "unknown setting 'max-nodes'; did you mean 'max_nodes'?"),
        ("teacher-key = 'a secret'", "unknown setting 'teacher-key'; did you mean 'teacher_key'?"),
        ("[serve]\nteacher_key = 'a secret'", "not in a table such as [serve]"),
        ("port = 1\nport = 2", "Cannot overwrite a value"),
    ],
)
def test_what_the_file_has_and_nothing_reads_is_named(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        load_settings(settings_file=path)
    assert str(refused.value).startswith(f"--settings-file {path}: ")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("name", ["workers", "request_seconds", "grpc_port", "auto_threshold"])
def test_a_number_of_the_file_is_neither_yes_nor_no(tmp_path: Path, name: str) -> None:
    path = tmp_path / "settings.toml"
    for said in ("true", "false"):
        path.write_text(f"{name} = {said}\n")
        with pytest.raises(SettingsError, match=rf"{said.title()}: expected a number$"):
            load_settings(settings_file=path)
    path.write_text("mcp = true\nteacher_nested = false\nworkers = 2\n")
    settings = load_settings(settings_file=path)
    assert (settings.mcp, settings.teacher_nested, settings.workers) == (True, False, 2)


def test_a_file_of_settings_may_begin_with_a_mark_and_has_to_be_there(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xef\xbb\xbfmax_nodes = 5\r\n")
    assert load_settings(settings_file=path).max_nodes == 5
    path.unlink()
    with pytest.raises(SettingsError, match=r"settings\.toml: No such file or directory$"):
        load_settings(settings_file=path)


@pytest.mark.parametrize("host", ["http://app.example", "app.example:443", "app.example/", "a b"])
def test_a_host_that_no_request_can_name_is_refused(host: str) -> None:
    good = "app.example, .inner.example, 192.0.2.9, ::1, [2001:db8::1], localhost."
    assert len(load_settings(allowed_hosts=good).hosts) == 6
    with pytest.raises(SettingsError, match="is not a host") as refused:
        assert load_settings(allowed_hosts=f"{good},{host}").hosts
    assert repr(host) in str(refused.value)


@pytest.mark.parametrize(("flags", "extra"), [({"grpc_port": 0}, "grpc"), ({"mcp": True}, "mcp")])
def test_a_missing_extra_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, flags: dict[str, object], extra: str
) -> None:
    assert load_settings(**flags).port == 8_000
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(SettingsError, match=rf"^--{extra}.* needs {extra}.*-gnn\[{extra}\]"):
        load_settings(**flags)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.com"])
def test_beyond_loopback_needs_leave(host: str) -> None:
    with pytest.raises(SettingsError, match="allow-remote-without-key"):
        load_settings(host=host)
    assert load_settings(host=host, allow_remote_without_key=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_is_known(host: str) -> None:
    assert is_local(host)
    assert load_settings(host=host).host == host


def test_a_log_in_redis_needs_a_url_and_a_folder(tmp_path: Path) -> None:
    secret = "redis://:secret@host/many"
    with pytest.raises(SettingsError, match=r"^--log is not the URL of a Redis") as refused:
        load_settings(log=secret, data_folder=tmp_path)
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="--log needs --data-folder"):
        load_settings(log="redis://host")
    with pytest.raises(SettingsError, match="--snapshots needs --log"):
        load_settings(snapshots="s3://bucket", data_folder=tmp_path)
    for flag, wanted in (("allow_loss", True), ("wait_disk", True), ("wait_replicas", 1)):
        name = f"--log-{flag.replace('_', '-')}"
        with pytest.raises(SettingsError, match=f"^{name} is about the Redis of --log"):
            load_settings(**{f"log_{flag}": wanted}, data_folder=tmp_path)
    assert load_settings().redis_log is None
    stored = "s3://name:secret@bucket"
    settings = load_settings(log="redis://host", data_folder=tmp_path, snapshots=stored)
    assert settings.redis_log == RedisLogOptions("redis://host", snapshots=stored)
    assert "secret" not in repr(settings)
    settings = load_settings(log="redis://:secret@host", data_folder=tmp_path, log_wait_replicas=2)
    assert settings.redis_log == RedisLogOptions("redis://:secret@host", wait_replicas=2)
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.redis_log)


@pytest.mark.parametrize(
    "host",
    ["http://127.0.0.1", "http://", "127.0.0.1:8000", "localhost:80", "[::1]", "h/x", " ::1"],
)
@pytest.mark.parametrize("remote", [False, True])
def test_a_host_that_is_more_than_an_address_is_refused(host: str, remote: bool) -> None:
    with pytest.raises(SettingsError, match=r"^--host is .*: expected only an address or a name"):
        load_settings(host=host, allow_remote_without_key=remote)


@pytest.mark.parametrize("host", ["::1", "127.0.0.2", "localhost", "fe80::1%lo", "0.0.0.0", "ü.x"])
def test_an_address_or_a_name_is_a_host(host: str) -> None:
    assert load_settings(host=host, allow_remote_without_key=True).host == host


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"port": 99_999}, "--port or UNDERSTUDY_PORT is 99999: expected a value less than or equ"),
        ({"request_seconds": 0}, "--request-seconds or .* is 0: expected a value greater than 0"),
        ({"host": ""}, "--host or UNDERSTUDY_HOST is '': expected at least 1 character"),
        ({"provider": "tpu"}, "--provider or .* is 'tpu': expected 'cpu' or 'cuda'"),
        ({"workers": "two"}, "--workers or .* is 'two': expected a valid integer"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_expected(values: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=f"^{told}"):
        load_settings(**values)


def test_two_protocols_on_one_port_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^--port and --grpc-port are both 8000: give each"):
        load_settings(grpc_port=8000)  # that of HTTP unless another is given
    assert load_settings(port=0, grpc_port=0).grpc_port == 0


@pytest.mark.parametrize("path", ["/", "x", "/x/", "//x", "/x//y", "/x/../y", "/.", "/x y", "/x\n"])
def test_a_root_path_that_no_request_begins_with_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match=r"--root-path is .*: expected a path such as /under"):
        load_settings(root_path=path)


@pytest.mark.parametrize(
    "path", ["/nodes", "/nodes/x", "/v1", "/v2/models", "/classify", "/page", "/docs", "/mcp"]
)
def test_a_root_path_where_routes_of_our_own_are_is_refused(path: str) -> None:
    with pytest.raises(SettingsError, match="the service has its own routes there"):
        check_root(load_settings(root_path=path).root_path)


@pytest.mark.parametrize("path", ["", "/understudy", "/apps/v1", "/v1/x", "/..x/~y"])
def test_other_root_paths_are_taken(path: str) -> None:
    check_root(load_settings(root_path=path).root_path)


@pytest.mark.parametrize("name", ["data_folder", "keys_file", "teacher_label_descriptions"])
def test_an_empty_path_is_not_the_current_folder(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flag = f"--{name.replace('_', '-')}"
    wanted = f"{flag} or UNDERSTUDY_{name.upper()} is '': it is empty; give a path"
    with pytest.raises(SettingsError, match=wanted):
        load_settings(**{name: ""})
    monkeypatch.setenv(f"UNDERSTUDY_{name.upper()}", "")
    with pytest.raises(SettingsError, match=wanted):
        load_settings()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):  # as the shell gives an unset variable
        main(["serve", "bundle", flag, ""])
    assert wanted in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["data_folder", "keys_file"])
def test_a_url_is_not_a_folder_below_the_current_one(name: str) -> None:
    with pytest.raises(SettingsError, match=r"is 's3://bucket/x': it is a URL, or begins with"):
        load_settings(**{name: "s3://bucket/x"})


def test_a_file_names_no_other_one(tmp_path: Path) -> None:
    path = tmp_path / "service.toml"
    path.write_text('settings_file = "other.toml"\n')
    with pytest.raises(SettingsError, match="unknown setting 'settings_file'"):
        load_settings(settings_file=path)
