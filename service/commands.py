"""`understudy serve`, which serves a bundle over HTTP, and `understudy key`, which makes keys."""

import faulthandler
import gc
import inspect
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from service.app import check_root, create_app
from service.errors import SettingsError
from service.http.access import Role, add_key
from service.opening import open_engine
from service.server import bind, exit_on_signals, run_server
from service.setting_names import ENVIRONMENT_PREFIX, flag_name
from service.settings import Settings, load_settings
from service.telemetry.logs import configure_logs
from service.welcome import example, welcome
from service.workers.service import serve_together
from service.workers.shares import cores, remarks, share_of
from understudy.progress import step, terminal_progress
from understudy.standard_streams import announce

logger = logging.getLogger(__name__)
BundleFolder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Bundle folder made by `understudy export`.")
]


def with_setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command one flag per setting; a flag that is not given is None."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flags = [setting_flag(name, field) for name, field in Settings.model_fields.items()]
    command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    return command


def setting_flag(name: str, field: FieldInfo) -> inspect.Parameter:
    kind: Any = field.annotation
    choices = ""
    if get_origin(kind) is Literal:
        choices = " or ".join(map(str, get_args(kind)))
        kind = str  # the settings check the choices
    shown = None
    if kind == Path | None:
        kind, shown = str, "<path>"  # a Path would turn an empty value into the current folder
    default = field.default if field.default not in (None, "") else "none"
    allowed = f"{choices}; " if choices else ""
    variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
    text = f"{field.description} ({allowed}default {default}; {variable})"
    flag = flag_name(name)
    if field.default is True:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, typer.Option(flag, help=text, metavar=shown)],
    )


@with_setting_flags
def serve(bundle: BundleFolder, **flags: Any) -> None:
    """Serve a bundle over HTTP; a flag takes precedence over its environment variable."""
    exit_on_signals()
    settings = load_settings(**flags)
    check_root(settings.root_path)
    log = configure_logs(settings.log_level, settings.log_format == "json")
    # Truncating a mapped file of the bundle ends the process by SIGBUS; this prints a trace.
    faulthandler.enable(all_threads=False)
    try:
        (serve_alone if settings.workers == 1 else serve_together)(bundle, settings)
    finally:
        log.flush()  # before the command line tells an error


def serve_alone(bundle: Path, settings: Settings) -> None:
    """Serves in this process."""
    for remark in remarks(settings, cores()):
        logger.warning("%s", remark)
    settings = share_of(settings, cores())
    opened = partial(open_engine, bundle, settings, None)
    with bind(settings.host, settings.port) as bound:
        with terminal_progress(logger.info) as progress, step(progress, "Opening the bundle"):
            app = create_app(opened(None, progress), settings, opened)
        gc.collect()
        gc.freeze()  # later collections skip what was loaded
        sample = example(app.parts.slot.engine.state)
        keys = bool(app.parts.access.keys)

        def listening(url: str, grpc: str | None) -> None:
            announce(welcome(url, grpc, settings.page, keys, sample), logger)

        run_server(app, bound, settings, listening)


def key(
    keys_file: Annotated[
        Path, typer.Argument(help="File to add the key to; it is created if needed.")
    ],
    name: Annotated[str, typer.Option(help="Name of the key in logs and rate limits.")],
    role: Annotated[
        str, typer.Option(help="Role of the key: read, write or admin.")
    ] = Role.read.name,
) -> None:
    """Make an API key; it is printed once, and the file keeps only its digest."""
    if role not in Role.__members__ or Role[role] is Role.anyone:
        raise SettingsError(f"--role is {role!r}: expected read, write or admin")
    typer.echo(add_key(keys_file, name, Role[role]))
