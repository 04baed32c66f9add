"""`understudy serve`: a bundle over HTTP."""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic.fields import FieldInfo

from service.app import create_app
from service.engine import Engine
from service.server import bind, exit_on_signals, run_server
from service.settings import ENVIRONMENT_PREFIX, Settings, flag_name, load_settings

BundleFolder = Annotated[
    Path, typer.Argument(metavar="BUNDLE", help="Folder made by `understudy export`.")
]


def with_setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command one flag for every setting; a flag that is not given is None."""
    own = [
        parameter
        for parameter in inspect.signature(command).parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    flags = [setting_flag(name, field) for name, field in Settings.model_fields.items()]
    command.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
    return command


def setting_flag(name: str, field: FieldInfo) -> inspect.Parameter:
    choices = " or ".join(map(str, get_args(field.annotation)))
    default = f"{choices}; default {field.default}" if choices else f"default {field.default}"
    text = f"{field.description} ({default}; {ENVIRONMENT_PREFIX}{name.upper()})"
    kind: Any = str if choices else field.annotation  # a Literal's choices are checked later
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, typer.Option(flag_name(name), help=text)],
    )


@with_setting_flags
def serve(bundle: BundleFolder, **flags: Any) -> None:
    """Serve a bundle over HTTP; a flag goes before its environment variable."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    exit_on_signals()
    settings = load_settings(**flags)
    with bind(settings.host, settings.port) as bound:
        engine = Engine.open(bundle, settings.threads, settings.provider, settings.limits)
        run_server(create_app(engine, settings), bound, settings.drain_seconds, announce)


def announce(url: str) -> None:
    typer.echo(f"listening on {url} (documentation at {url}/docs)")
