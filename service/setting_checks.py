"""Checks of settings that are valid one by one but not together."""

import re
from typing import TYPE_CHECKING

from service.errors import SettingsError
from service.http.guard import is_ipv6, is_local
from service.redis_link import open_client
from service.setting_names import check_extra, check_log, flag_name
from service.teacher.client import check_endpoint

if TYPE_CHECKING:  # `settings` imports this module
    from service.settings import Settings

NO_HOST = re.compile(r"[\s/:\[\]]")  # what a URL, or an address with a port, has around the host
ROOT_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")


def check_settings(settings: "Settings") -> None:
    """Refuses settings whose error would only show later, or never.

    Raises:
        SettingsError: names the setting.
    """
    check_host(settings.host)
    check_root_path(settings.root_path)
    if settings.grpc_port is not None:
        check_ports(settings.port, settings.grpc_port)
        check_extra("grpc_port", "grpc", ("grpc", "google.protobuf"))
    if settings.mcp:
        check_extra("mcp", "mcp", ("mcp",))
    if settings.redis_url:
        open_client(settings.redis_url, settings.redis_timeout_ms)
    if settings.log:
        open_client(settings.log, settings.redis_timeout_ms, "log")
    check_log(settings.log, settings.data_folder, settings.snapshots)
    if not settings.log:
        refuse_promises(settings)
    if settings.teacher_url:
        check_endpoint("teacher", settings.teacher_url, settings.teacher_key)
    if settings.upstream_url:
        check_endpoint("upstream", settings.upstream_url, settings.upstream_key)
    elif settings.upstream_route == "auto":
        raise SettingsError("--upstream-route auto needs --upstream-url", setting="upstream_route")
    if not (settings.keys_file or settings.allow_remote_without_key):
        check_alone(settings.host)


def check_host(host: str) -> None:
    """Refuses a URL, or an address with brackets or a port, which no network has as an address.

    Raises:
        SettingsError: it is more than an address or a name.
    """
    if NO_HOST.search(host) and not is_ipv6(host):
        raise SettingsError(
            f"--host is {host!r}: expected only an address or a name, such as 127.0.0.1, ::1, or "
            "0.0.0.0 for every network of this machine, without scheme, brackets, port and path; "
            "the port is given with --port",
            setting="host",
        )


def check_ports(port: int, grpc_port: int) -> None:
    """Refuses one port for both protocols: the system lets both listen, and either gets the calls.

    Raises:
        SettingsError: the ports are the same, and not 0, which picks two.
    """
    if port == grpc_port != 0:
        raise SettingsError(
            f"--port and --grpc-port are both {port}: give each a port of its own",
            setting="grpc_port",
        )


def check_root_path(path: str) -> None:
    """Refuses a root path that no request's path can start with.

    Raises:
        SettingsError: it does not start with a slash, ends with one, or has invalid characters.
    """
    if not ROOT_PATH.fullmatch(path):
        raise SettingsError(
            f"--root-path is {path!r}: expected a path such as /understudy or /apps/understudy, "
            "with a slash before each part but none at the end, and only letters, digits and . _ ~ "
            "-",
            setting="root_path",
        )


def refuse_promises(settings: "Settings") -> None:
    """Refuses what only a log in Redis can promise, where there is none.

    Raises:
        SettingsError: such a setting is given.
    """
    for name in ("log_allow_loss", "log_wait_disk", "log_wait_replicas"):
        if getattr(settings, name):
            raise SettingsError(
                f"{flag_name(name)} is about the Redis of --log, which is missing: add --log, or "
                "leave this out",
                setting=name,
            )


def check_alone(host: str) -> None:
    """Refuses to listen without keys where other machines can connect.

    Raises:
        SettingsError: the host is not loopback.
    """
    if not is_local(host):
        raise SettingsError(
            f"{host} can be reached from other machines, and there are no keys; listen on "
            "127.0.0.1, give --keys-file, or accept this with --allow-remote-without-key",
            setting="host",
        )
