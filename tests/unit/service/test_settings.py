"""Flags before environment before defaults, and what may be listened on."""

import sys
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.http.guard import is_local
from service.settings import load_settings
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
    with pytest.raises(SettingsError, match=r"^--log is no URL of a Redis") as refused:
        load_settings(log=secret, data_folder=tmp_path)
    assert "secret" not in str(refused.value)
    with pytest.raises(SettingsError, match="--log needs --data-folder"):
        load_settings(log="redis://host")
    with pytest.raises(SettingsError, match="--snapshots needs --log"):
        load_settings(snapshots="s3://bucket", data_folder=tmp_path)
    assert load_settings().redis_log is None
    stored = "s3://name:secret@bucket"
    settings = load_settings(log="redis://host", data_folder=tmp_path, snapshots=stored)
    assert settings.redis_log == RedisLogOptions("redis://host", snapshots=stored)
    assert "secret" not in repr(settings)
    settings = load_settings(log="redis://:secret@host", data_folder=tmp_path, log_wait_replicas=2)
    assert settings.redis_log == RedisLogOptions("redis://:secret@host", wait_replicas=2)
    assert "secret" not in repr(settings)
    assert "secret" not in repr(settings.redis_log)
