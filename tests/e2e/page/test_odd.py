"""The page where the graph is odd or changes meanwhile, and where answers come late."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.bundles import TinyBundle
from tests.e2e.conftest import Service, serving
from tests.e2e.page.conftest import READY, Open, choose, heading

MOST_NODES = 6
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def own(tiny_bundle: TinyBundle) -> Iterator[Service]:
    """A service that may be asked about few nodes at once."""
    with serving(tiny_bundle.folder, "--max-nodes", str(MOST_NODES)) as running:
        yield running


def drawn(page: Any) -> set[str]:
    return set(page.locator("#drawing .node").evaluate_all("all => all.map(n => n.dataset.id)"))


def test_an_invented_node_stays_where_one_begins_with_another(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-3")
    page.get_by_role("tab", name="Invent").click()
    choose(page, "#link", "node-21")
    page.locator("#invented-text").fill("sprite level")
    page.wait_for_selector("#drawing .node.invented")
    choose(page, "#query", "node-39")
    page.locator("#node h1", has_text="node-39").wait_for(state="attached")
    assert drawn(page) == {" invented", "node-39"}
    page.locator("#drawing .links line").first.wait_for(state="detached")
    page.get_by_role("button", name="Zoom in").click()  # still moves; a script's failure is a fault


def test_the_node_that_is_shown_follows_what_changes(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-39")
    answer = page.locator("#node .bars").first
    before = answer.inner_text()
    own.client.post("/edges", json={"source": "node-39", "target": "node-8"})
    page.locator("#node .heading", has_text="1 neighbour").wait_for()
    (prediction,) = own.classify({"id": "node-39"}, top_k=4).json()["predictions"]
    shown = answer.locator(".score").all_inner_texts()
    assert shown == [f"{100 * entry['score']:.1f} %" for entry in prediction["top"]]
    assert answer.inner_text() != before
    own.client.request("DELETE", "/edges", json={"source": "node-39", "target": "node-8"})


def test_what_others_delete_is_told_and_leaves_the_drawing(visit: Open, own: Service) -> None:
    own.client.put("/nodes/passing", json={"text": "http", "neighbors": ["node-4"]})
    page = visit(f"{own.url}/?node=passing")
    own.client.delete("/nodes/passing")
    page.locator("#node [role=alert]", has_text="passing is not stored any more").wait_for()
    assert drawn(page) == {"node-4"}
    assert page.locator("#drawing [tabindex='0']").count() == 1  # is still reached by keyboard
    own.client.put("/nodes/lonely", json={"text": "http"})
    page.goto(f"{own.url}/?node=lonely")
    page.wait_for_selector(READY)
    own.client.delete("/nodes/lonely")  # now not one of the drawn nodes is stored
    page.locator("#node [role=alert]", has_text="lonely is not stored any more").wait_for()
    assert drawn(page) == set()


def test_more_nodes_are_drawn_than_a_request_may_hold(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-0")  # a hub
    assert len(drawn(page)) == MOST_NODES
    page.get_by_role("tab", name="Edges").click()
    choose(page, "#target", "node-39")
    page.get_by_role("button", name="Add the edge").click()
    page.locator("#changes", has_text="is linked to node-39").wait_for()
    assert "node-39" in page.locator("#changes tbody").inner_text()
    page.get_by_role("button", name="Undo").click()
    page.locator("#changes", has_text="is no longer linked to").wait_for()


@pytest.mark.parametrize("name", ["long", "L" * 600])
def test_long_words_are_broken(visit: Open, own: Service, name: str) -> None:
    own.client.put(f"/nodes/{name}", json={"text": "x" * 5_000, "neighbors": ["node-1"]})
    page = visit(f"{own.url}/?node={name}", viewport=NARROW)
    page.get_by_role("tab", name="Invent").click()
    page.get_by_role("button", name="Link to the selected node").click()
    page.get_by_role("tab", name="Node").click()
    assert heading(page) == name
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    own.client.delete(f"/nodes/{name}")


def test_names_are_cut_between_characters(visit: Open, own: Service) -> None:
    name = "a" + "\N{GRINNING FACE}" * 30
    own.client.put(f"/nodes/{quote(name)}", json={"text": "http"})
    page = visit(f"{own.url}/?node={quote(name)}")
    shown = page.locator("#drawing .node text").text_content()
    assert shown == name[:21] + "…"
    own.client.delete(f"/nodes/{quote(name)}")


@pytest.mark.parametrize("name", [".", ".."])
def test_ids_that_browsers_take_for_folders_are_shown(visit: Open, own: Service, name: str) -> None:
    change = {"kind": "upsert_node", "id": name, "text": f"dots {name}"}
    near = {"kind": "upsert_node", "id": f"{name}.x", "text": "another"}
    own.client.post("/mutations", json={"mutations": [change, near]})
    page = visit(f"{own.url}/?node={name}")
    assert heading(page) == name
    assert page.locator("#node p.title").inner_text() == f"dots {name}"
    gone = [{"kind": "delete_node", "id": each} for each in (name, f"{name}.x")]
    own.client.post("/mutations", json={"mutations": gone})


def test_a_late_answer_about_another_node_is_not_drawn(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-39")
    held: list[Any] = []
    page.route("**/surroundings", lambda r: r.continue_() if held else held.append(r))
    choose(page, "#query", "node-3")
    choose(page, "#query", "node-5")
    page.locator("#node h1", has_text="node-5").wait_for()
    with page.expect_response("**/surroundings"):
        held[0].continue_()
    page.evaluate(
        "fetch('health/live').then((answer) => answer.text())"
    )  # what came is read by now
    assert heading(page) == "node-5"
    assert page.locator("#drawing .node.selected").get_attribute("data-id") == "node-5"
    assert page.url.endswith("?node=node-5")


def test_a_single_answer_counts_in_the_rate(visit: Open, own: Service) -> None:
    page = visit(own.url)
    rate = page.locator("#figures dd").first
    rate.filter(has_text=re.compile(r"^0\.0$")).wait_for()
    own.classify({"id": "node-1"})
    rate.filter(has_text=re.compile(r"^0\.[1-9]$")).wait_for()
