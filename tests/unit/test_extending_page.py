"""docs/guides/extending.md: its reader and its route, run as they are shown."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from service import app as application
from service.settings import Settings
from tests.bundles import LABELS, TinyBundle
from understudy.engine import Engine
from understudy.graph import BadInputError, SourceError
from understudy.graph.building.builder import Rules
from understudy.graph.readers.fields import EdgeFields, NodeFields
from understudy.graph.readers.files import import_graph
from understudy.graph.readers.formats import READERS, register_reader

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "extending.md").read_text(encoding="utf-8")
NODES = (
    "id:pump\ttext:A pump that hums.\tlabel:kitchen",
    "id:hose\ttext:A hose for the lawn.\tlabel:garden",
    "id:rake\ttext:A rake with a long handle.\tlabel:garden",
)


def block_of(heading: str) -> dict[str, Any]:
    """What the code under a heading defines."""
    found = re.search(rf"^## {heading}\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    names: dict[str, Any] = {"__name__": "a_page"}
    exec(found[1], names)
    return names


@pytest.fixture
def as_they_were() -> Iterator[None]:
    """What a test registers is forgotten."""
    yield
    READERS.clear()


@pytest.mark.usefixtures("as_they_were")
def test_a_registered_reader_is_told_by_the_name_and_treated_as_every_other(
    tmp_path: Path,
) -> None:
    nodes, edges = tmp_path / "nodes.ltsv", tmp_path / "edges.ltsv"
    nodes.write_text("\n".join(NODES))
    edges.write_text("source:pump\ttarget:hose\nsource:hose\ttarget:rake\n")
    fields = NodeFields("", (), "", "", "", "")
    with pytest.raises(SourceError, match="unknown format"):
        import_graph([nodes], [edges], fields, EdgeFields("", ""), Rules())
    block_of("A reader")
    graph = import_graph([nodes], [edges], fields, EdgeFields("", ""), Rules()).graph
    assert graph.ids.to_pylist() == ["pump", "hose", "rake"]
    assert graph.adjacency.neighbors(1).tolist() == [0, 2]
    edges.write_text("source:pump\ttarget:hose\nsource:hose\ttarget:fork\n")
    with pytest.raises(BadInputError, match=r"edges\.ltsv:2"):
        import_graph([nodes], [edges], fields, EdgeFields("", ""), Rules())
    register_reader(".uneven", lambda path, progress: iter([(1, ("id", "text"), ("pump",))]))
    with pytest.raises(BadInputError, match=r"n\.uneven:1: 1 value for 2 columns \(id, text\)"):
        import_graph([tmp_path / "n.uneven"], [edges], fields, EdgeFields("", ""), Rules())
    for suffix in (".csv", ".edges", ".ltsv", "ltsv"):
        with pytest.raises(SourceError, match="cannot be registered"):
            register_reader(suffix, READERS[".ltsv"])


def test_a_route_answers_and_is_in_the_document(
    tiny_bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = ModuleType("labels")
    vars(room).update(block_of("A route"))
    for name in ("ROOMS", "ROUTES", "STRUCT_ROUTES"):
        more = [room] if name == "ROOMS" else room.router.routes
        monkeypatch.setattr(application, name, [*getattr(application, name), *more])
    with Engine.open(tiny_bundle.folder) as engine:
        served = application.create_app(engine, Settings())

        async def ask() -> list[Any]:
            transport = httpx.ASGITransport(served)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return [(await client.get(path)).json() for path in ("/labels", "/openapi.json")]

        answer, document = asyncio.run(ask())
    assert answer == {"labels": list(LABELS)}
    content = document["paths"]["/labels"]["get"]["responses"]["200"]["content"]["application/json"]
    assert content["example"] == answer
    assert content["schema"] == {"$ref": "#/components/schemas/Labels"}
