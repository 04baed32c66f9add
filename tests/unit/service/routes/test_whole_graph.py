"""The whole graph: how many read it at a time."""

import asyncio

from service.app import create_app
from service.http.within import ask
from service.settings import load_settings
from understudy.engine import Engine


def test_no_more_read_it_at_a_time_however_close_together_they_come(engine: Engine) -> None:
    app = create_app(engine, load_settings())

    async def together(count: int) -> list[int]:
        answers = await asyncio.gather(*(ask(app, "GET", "/graph") for _ in range(count)))
        return sorted(answer.status for answer in answers)

    async def twice() -> list[list[int]]:
        return [await together(5) for _ in range(2)]

    assert asyncio.run(twice()) == [[200, 200, 429, 429, 429]] * 2
    assert app.parts.streams.running == 0
