"""Every command with its arguments and options, from the command line itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from documents.reference.pages import Page, code
from understudy.cli import COMMANDS, build_app

INTRODUCTION = (
    "`understudy COMMAND --help` says the same. A command that fails says why in one line and ends "
    "with status 1. A command that a signal ends says whether the same command resumes its work."
)
ELSEWHERE = {"serve": "Its options are the [settings of the service](settings.md)."}
KINDS = {
    "str": "text",
    "text": "text",
    "int": "whole number",
    "integer": "whole number",
    "float": "number",
}


def commands_page() -> Page:
    page = Page("Commands")
    page.add(INTRODUCTION)
    for name, command in all_commands():
        page.add(f"## understudy {name}", page.words(name, command.help))
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        page.add(code(" ".join([f"understudy {name}", *map(argument_name, arguments)])))
        page.table(
            ("argument", "meaning"),
            ((code(argument_name(p)), help_of(page, name, p)) for p in arguments),
        )
        if name in ELSEWHERE:
            page.add(ELSEWHERE[name])
            continue
        page.table(
            ("option", "value", "default", "meaning"),
            (option_row(page, name, p) for p in options),
        )
    return page


def all_commands() -> Iterator[tuple[str, Any]]:
    """The commands, and those of groups, by the words that call them."""
    for name in COMMANDS:
        found: Any = get_command(build_app(name))
        command = found.commands[name]
        group = getattr(command, "commands", None)
        if group is None:
            yield name, command
            continue
        yield from ((f"{name} {inner}", member) for inner, member in group.items())


def argument_name(parameter: Any) -> str:
    name = str(parameter.metavar or parameter.name.upper())
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def help_of(page: Page, command: str, parameter: Any) -> str:
    return page.words(f"{command} {parameter.opts[0]}", parameter.help)


def option_row(page: Page, command: str, option: Any) -> tuple[str, ...]:
    names = [name for name in option.opts if name.startswith("--")] or option.opts
    flag = "/".join([*names, *option.secondary_opts])
    meaning = help_of(page, command, option)
    if option.envvar:
        meaning += f" Also {code(option.envvar)}."
    return code(flag), values(option), default(option), meaning


def values(option: Any) -> str:
    """The values that an option takes; empty for a flag."""
    if option.is_flag:
        return ""
    kind = option.type
    if choices := getattr(kind, "choices", None):
        return " or ".join(map(code, choices))
    name = kind.name.removesuffix(" range")
    words = KINDS.get(name, name)
    if (least := getattr(kind, "min", None)) is not None:
        words += f", ≥ {least:,}"
    if (most := getattr(kind, "max", None)) is not None:
        words += f", ≤ {most:,}"
    return f"{words}; several" if option.multiple else words


def default(option: Any) -> str:
    """The default value; empty if there is none that a page can name."""
    value = option.default
    if option.required:
        return "needed"
    if value is None or callable(value) or value == "" or (option.is_flag and value is False):
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(code(entry) for entry in value)
    if value is True:
        return "yes"
    return code(value.as_posix() if isinstance(value, Path) else value)
