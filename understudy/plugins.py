"""Modules of others that register readers, students and the like before a command reads options.

They are named by an environment variable, so that every process that a command starts has them.
"""

import importlib
import os

VARIABLE = "UNDERSTUDY_PLUGINS"


class PluginError(Exception):
    """A module that was named cannot be imported."""


def plugins() -> list[str]:
    """The modules that UNDERSTUDY_PLUGINS names, between commas."""
    return [name for part in os.environ.get(VARIABLE, "").split(",") if (name := part.strip())]


def load_plugins() -> None:
    """Imports each once.

    Raises:
        PluginError: one cannot be imported; the message names it.
    """
    for name in plugins():
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # a program's module may end the program
            missing = isinstance(error, ModuleNotFoundError) and name.startswith(str(error.name))
            reason = "there is no such module; put its folder on PYTHONPATH, or install it"
            raise PluginError(
                f"{VARIABLE} names {name!r}, which cannot be imported: "
                + (reason if missing else f"{type(error).__name__}: {error}")
            ) from error
