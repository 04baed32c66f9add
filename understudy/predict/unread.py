"""Refuses options of `understudy predict` that have no effect together with the others."""

import typer

from understudy.command_line.given_options import option_of, was_given
from understudy.predict.errors import OptionError
from understudy.predict.formats import Base, Format

COLUMNS = ("id_field", "text_field", "neighbors_field")
LINES = ("delimiter", "header")  # of text files with delimited columns
OF_A_BUNDLE = ("threads", "provider")
OF_A_SERVICE = ("key", "timeout")
DELIMITED: tuple[Base, ...] = ("csv", "tsv")


def refuse_unread(
    context: typer.Context, service: bool, kind: Format | None, stdin: bool, stdout: bool
) -> None:
    """Refuses options that were given and would have no effect.

    Args:
        service: whether a service answers; otherwise a bundle does.
        kind: format of IN; None if all nodes without a label are classified.

    Raises:
        OptionError: names the options and the reason.
    """
    refused = (
        (service, OF_A_BUNDLE, "a service has its own settings for this"),
        (not service, OF_A_SERVICE, "no service is asked"),
        (kind is None, (*COLUMNS, *LINES), "--unlabeled reads no file"),
        (kind and kind.base not in DELIMITED, LINES, "IN is neither .csv nor .tsv"),
        (not stdin, ("input_format",), "IN is not stdin, and its format is known from its name"),
        (
            not stdout,
            ("output_format",),
            "OUT is not stdout, and its format is known from its name",
        ),
        (stdout, ("force",), "answers go to stdout, where nothing is replaced"),
    )
    for applies, parameters, reason in refused:
        unread = [option_of(context, name) for name in parameters if was_given(context, name)]
        if applies and unread:
            raise OptionError(f"{', '.join(unread)} has no effect here: {reason}; leave it out")
