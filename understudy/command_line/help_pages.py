"""Makes the help of every command whole in 80 columns, and names arguments as messages do."""

from typing import Any


def complete_help(command: Any) -> None:
    """Keeps lists of commands from cutting a line, and writes arguments in capitals, as OUT.

    Args:
        command: typer's command, with its subcommands.
    """
    for parameter in command.params:
        if parameter.param_type_name == "argument" and parameter.metavar is None:
            parameter.metavar = parameter.name.upper()
    for below in getattr(command, "commands", {}).values():
        if below.help and not below.short_help:  # which is wrapped; what is made of `help` is cut
            below.short_help = " ".join(below.help.partition("\n\n")[0].split())
        complete_help(below)
