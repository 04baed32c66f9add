"""Streams of the whole graph: their number is limited, and each is of one version."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from service.app import create_app
from service.http.internal import ask
from service.routes.whole_graph import lines_if_whole
from service.settings import load_settings
from tests.bundles import tiny_graph, write_tiny_bundle
from understudy.engine import Engine
from understudy.engine.errors import NotReadyError
from understudy.graph.mutable.stream import graph_lines
from understudy.graph.text_graph import string_array


def test_no_more_read_it_at_a_time_however_close_together_they_come(engine: Engine) -> None:
    app = create_app(engine, load_settings())

    async def together(count: int) -> list[int]:
        answers = await asyncio.gather(*(ask(app, "GET", "/graph") for _ in range(count)))
        return sorted(answer.status for answer in answers)

    async def twice() -> list[list[int]]:
        return [await together(5) for _ in range(2)]

    assert asyncio.run(twice()) == [[200, 200, 429, 429, 429]] * 2
    assert app.parts.streams.running == 0


def test_every_line_of_it_is_sent(engine: Engine) -> None:
    answer = asyncio.run(ask(create_app(engine, load_settings()), "GET", "/graph"))
    assert answer.content == b"".join(graph_lines(engine.state.graph))
    assert answer.content.count(b"\n") > engine.state.graph.num_nodes


def test_its_end_is_not_told_where_its_files_were_overwritten_meanwhile(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    graph = tiny_graph()
    shouted = string_array(text.swapcase() for text in graph.texts.to_pylist())
    other = write_tiny_bundle(tmp_path / "other", graph=replace(graph, texts=shouted))
    with Engine.open(bundle.folder) as engine:
        lines = graph_lines(engine.state.graph)
        checked = lines_if_whole(lines, engine.writer.originals)
        sent = [next(checked), next(checked)]
        shutil.copytree(other.folder, bundle.folder, dirs_exist_ok=True)
        with pytest.raises(NotReadyError, match="overwritten in place"):
            sent.extend(checked)
    assert b'"kind":"node"' in b"".join(sent)
    assert b'"kind":"end"' not in b"".join(sent)


def test_its_head_is_told_without_making_it(engine: Engine) -> None:
    app = create_app(engine, load_settings())
    made = Event()
    app.parts.executor.thread.submit(made.wait)  # before which no line is made
    try:
        head = asyncio.run(asyncio.wait_for(ask(app, "HEAD", "/graph"), 20))
    finally:
        made.set()
    assert (head.status, head.headers[b"x-graph-version"]) == (200, b"0")
