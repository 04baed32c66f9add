"""Finds which options were given, so that options without effect can be refused."""

from collections.abc import Collection

import typer


def given_options(context: typer.Context, read: Collection[str] = ()) -> list[str]:
    """Lists the options given on the command line, as typed, in their order.

    Args:
        read: parameters to leave out, by their names in code.
    """
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.param_type_name == "option"
        and parameter.name is not None
        and parameter.name not in read
        and was_given(context, parameter.name)
    ]


def option_of(context: typer.Context, parameter: str) -> str:
    """Names a parameter as it is typed; both forms of a switch."""
    found = next(p for p in context.command.params if p.name == parameter)
    return "/".join((*found.opts[:1], *found.secondary_opts[:1]))


def was_given(context: typer.Context, parameter: str) -> bool:
    """Whether an option was given on the command line, rather than left to its default."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"
