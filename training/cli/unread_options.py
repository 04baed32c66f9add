"""Command-line options that a teacher does not read are refused, not ignored."""

from collections.abc import Mapping

import typer

from training.errors import TeacherError
from understudy.command_line.given_options import was_given


def refuse_unread(
    context: typer.Context, teacher: str, readers: Mapping[str, tuple[str, ...]]
) -> None:
    """Refuses an option that was given although this teacher does not read it.

    Args:
        teacher: causal, encoder, frozen encoder, endpoint, decision endpoint, student or registered
            (by a plugin)
        readers: the teachers that read each parameter; a parameter that is missing is read by all

    Raises:
        TeacherError: names the option and the teachers it is for.
    """
    for parameter, kinds in readers.items():
        if teacher not in kinds and was_given(context, parameter):
            option = "--" + parameter.replace("_", "-")
            raise TeacherError(
                f"{option} applies only to teachers of the kinds {', '.join(kinds)}; this one is "
                f"of the kind '{teacher}', so leave it out"
            )
