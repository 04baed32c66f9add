"""Whether a folder may be replaced."""

from pathlib import Path

from graph.errors import GraphError, SourceError
from graph.folder import read_meta


def check_output(out: Path, force: bool = False) -> None:
    """Refuses to replace what is no graph folder of ours.

    Args:
        force: replace any folder but the current one, the home, or one above them.

    Raises:
        SourceError: `out` is taken.
    """
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise SourceError(f"{out} is a file; name a folder to write the graph to")
    place = out.resolve()
    if any(here == place or place in here.parents for here in (Path.cwd(), Path.home())):
        raise SourceError(f"{out} holds the current folder or your home; name another folder")
    if force or not any(out.iterdir()):
        return
    try:
        read_meta(out)
    except GraphError as error:
        raise SourceError(
            f"{out} exists and is no graph folder; name another one, or replace it with --force"
        ) from error
