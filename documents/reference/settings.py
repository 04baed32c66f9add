"""Every setting of the service, from its pydantic fields."""

from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from documents.reference.pages import Page, code
from service.setting_names import ENVIRONMENT_PREFIX, flag_name
from service.settings import Settings

INTRODUCTION = (
    "Each setting is a flag of `understudy serve`, an environment variable, and a name in the TOML "
    "file of `--settings-file`. The flag takes precedence over the variable, the variable over the "
    "file, and the file over the default. [Running the service](../guides/operations.md) says what "
    "they are for."
)
NAMES = {int: "whole number", float: "number", str: "text", bool: "yes or no", Path: "path"}
BOUNDS = {Ge: ("ge", "≥"), Gt: ("gt", ">"), Le: ("le", "≤"), Lt: ("lt", "<")}


def settings_page() -> Page:
    page = Page("Settings of the service")
    page.add(INTRODUCTION)
    page.table(
        ("flag", "variable", "value", "default", "meaning"),
        (row(page, name, field) for name, field in Settings.model_fields.items()),
    )
    return page


def row(page: Page, name: str, field: FieldInfo) -> tuple[str, ...]:
    flag = flag_name(name)
    shown = f"{flag}/--no-{flag.removeprefix('--')}" if field.default is True else flag
    return (
        code(shown),
        code(f"{ENVIRONMENT_PREFIX}{name.upper()}"),
        values(field),
        "" if field.default in (None, "") else shown_default(field.default),
        page.words(flag, field.description),
    )


def values(field: FieldInfo) -> str:
    """The values that a setting takes."""
    kinds = [kind for kind in alternatives(field.annotation) if kind is not NoneType]
    names = [name for kind in kinds for name in kind_names(kind)]
    bounds = [bound for entry in field.metadata if (bound := bound_of(entry))]
    return ", ".join([" or ".join(names), *bounds])


def alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (UnionType, Union) else (kind,)


def kind_names(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [code(choice) for choice in get_args(kind)]
    return [NAMES[kind]]


def bound_of(entry: object) -> str:
    for kind, (attribute, sign) in BOUNDS.items():
        if isinstance(entry, kind):
            return f"{sign} {getattr(entry, attribute):,}"
    return "not empty" if isinstance(entry, MinLen) else ""


def shown_default(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return code(f"{default:,}" if isinstance(default, int) and default >= 10_000 else default)
