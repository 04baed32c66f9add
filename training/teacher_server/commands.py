"""`understudy teacher-serve`: a trained teacher for `understudy serve --teacher-url`."""

import logging
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import numpy as np
import typer
import uvicorn
from numpy.typing import NDArray

from training.errors import TeacherError
from training.teacher.answers.folder import TeacherInfo, read_info
from training.teacher_server.app import create_app
from understudy.folders import unchanged
from understudy.graph.prompts import Prompt
from understudy.progress import step, terminal_progress
from understudy.standard_streams import announce

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
STAGE = "Loading the teacher"


def teacher_serve(
    folder: Annotated[Path, typer.Argument(help="Teacher folder made by `understudy teach`.")],
    port: Annotated[
        int,
        typer.Option(min=0, max=65_535, help="Port on the loopback address; 0 picks a free one."),
    ] = 8001,
    threads: Annotated[int, typer.Option(min=1, help="Number of threads per inference.")] = 1,
) -> None:
    """Serve a trained teacher over an OpenAI-compatible endpoint, on loopback only."""
    read_info(folder)  # reports a wrong path before the slow import of torch
    from training.terminal import load_libraries

    load_libraries("training.teacher_server.loading")
    import torch

    from training.teacher_server.loading import load_teacher

    torch.set_num_threads(threads)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, leave)
    with bind(port) as bound:
        # The reported identity must be that of the loaded weights.
        with terminal_progress() as progress, step(progress, STAGE), unchanged(folder):
            teacher, info = load_teacher(folder)
            known = identity(folder, info)

        def score(prompts: Sequence[Prompt]) -> NDArray[np.float32]:
            return teacher.answer(prompts).log_probabilities

        app = create_app(info.model, info.label_names, score, known)
        bound.listen()
        url = f"http://{HOST}:{bound.getsockname()[1]}/v1"
        advice = f"to ask it, run: understudy serve BUNDLE --teacher-url {url}"
        announce([f"serving {info.model} on {url}", advice], logger)
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run([bound])


def identity(folder: Path, info: TeacherInfo) -> dict[str, str]:
    """The identity in `GET /v1/models`, as in a bundle's manifest."""
    from training.teacher.answers.views import teacher_record

    record = teacher_record(folder, info, max(info.hops))
    return {name: getattr(record, name) for name in ("model_hash", "weights", "prompt_hash")}


def bind(port: int) -> socket.socket:
    """Binds the port; connections queue until the server runs.

    Raises:
        TeacherError: it is taken.
    """
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError as error:
        bound.close()
        raise TeacherError(f"cannot listen on port {port}: {error.strerror}") from error
    return bound


def leave(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)
