"""What commands of this room do to the terminal."""

from transformers.utils import logging


def quiet_libraries() -> None:
    """Stops libraries from drawing bars of their own over ours."""
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
