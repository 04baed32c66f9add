"""Which options a command was given, so that those that nothing would read can be refused."""

from collections.abc import Collection

import typer


def given_options(context: typer.Context, read: Collection[str] = ()) -> list[str]:
    """The options that were said on the command line, as they are typed, in their order.

    Args:
        read: parameters that are left out, by their names in code.
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
    """A parameter as it is typed; of a switch, both of its words."""
    found = next(p for p in context.command.params if p.name == parameter)
    return "/".join((*found.opts[:1], *found.secondary_opts[:1]))


def was_given(context: typer.Context, parameter: str) -> bool:
    """Whether an option was said on the command line, and not left to its default."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"
