"""The page at `/` and the reference at `/docs`, in a real browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.http.access import Role, add_key
from tests.bundles import LABELS, TinyBundle
from tests.e2e.conftest import Service, serving
from tests.e2e.page.conftest import READY, WIDE, Open, choose, heading

axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks the page")
PHONE = {"width": 390, "height": 844}


def test_a_node_is_found_opened_and_walked_through_by_keyboard(visit: Open, own: Service) -> None:
    page = visit(own.url)
    choose(page, "#query", "number17 buffer")
    page.locator("#node h1", has_text="node-17").wait_for()
    assert page.url.endswith("?node=node-17")
    answer = own.classify({"id": "node-17"}, top_k=4).json()["predictions"][0]
    shown = page.locator("#node .bars").first.locator(".label").all_inner_texts()
    assert shown == [entry["label"] for entry in answer["top"]]
    assert set(shown) == set(LABELS)
    near = own.client.get("/nodes/node-17/neighbors").json()["neighbors"]
    assert page.locator("#drawing .node").count() == 1 + len(near)
    counts = page.locator("#legend .count").all_inner_texts()
    assert sum(map(int, counts)) == 1 + len(near)
    # From the node in the middle to a neighbour, whose neighbours are opened.
    page.locator("#drawing .node.selected").focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.dataset.id") != "node-17":
            break
    other = page.evaluate("document.activeElement.dataset.id")
    assert other in near
    page.keyboard.press("Enter")
    page.locator("#node h1", has_text=other).wait_for()
    before = page.locator("#drawing .node").count()
    page.keyboard.press("o")
    page.wait_for_selector(f"#drawing .node >> nth={before}", state="attached")
    page.go_back()
    page.locator("#node h1", has_text="node-17").wait_for()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"


def test_a_node_can_be_dragged_and_the_legend_lets_labels_stand_out(
    visit: Open, own: Service
) -> None:
    page = visit(f"{own.url}/?node=node-0")
    shape = page.locator("#drawing .node.selected circle")
    box = shape.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 60, steps=4)
    page.mouse.up()
    moved = shape.bounding_box()
    assert moved["x"] - box["x"] > 50
    assert heading(page) == "node-0"
    entry = page.locator("#legend .entry").first
    entry.click()
    assert entry.get_attribute("aria-pressed") == "true"
    count = int(entry.locator(".count").inner_text())
    assert page.locator("#drawing .node.picked").count() == count


def test_an_invented_node_is_classified_as_one_types(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-3")
    page.get_by_role("tab", name="Invent").click()
    choose(page, "#link", "node-21")
    page.locator("#invented-text").press_sequentially("sprite level", delay=5)
    page.wait_for_selector("#invented-answer .bars")
    body = {"text": "sprite level", "neighbors": ["node-21"]}
    expected = own.classify(body, top_k=4).json()["predictions"][0]
    scores = page.locator("#invented-answer .score").all_inner_texts()
    assert scores == [f"{100 * entry['score']:.1f} %" for entry in expected["top"]]
    drawn = page.locator("#drawing .node.invented")
    assert expected["label"] in drawn.get_attribute("aria-label")
    assert own.client.get("/info").json()["graph_version"] == 0 or drawn.count() == 1
    page.get_by_role("button", name="Unlink node-21").click()
    expected = own.classify({"text": "sprite level"}, top_k=1).json()["predictions"][0]
    wanted = f"{100 * expected['score']:.1f} %"
    page.locator("#invented-answer .score", has_text=wanted).first.wait_for()
    page.locator("#invented-text").fill("")
    page.wait_for_selector("#drawing .node.invented", state="detached")


def test_an_edge_changes_answers_and_is_undone(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=node-39")  # which stands alone
    before = own.classify({"id": "node-39"}).json()["predictions"][0]["score"]
    page.get_by_role("tab", name="Edges").click()
    choose(page, "#target", "node-8")
    page.get_by_role("button", name="Add the edge").click()
    row = page.locator("#changes tr", has=page.get_by_role("rowheader", name="node-39"))
    row.wait_for()
    after = own.classify({"id": "node-39"}).json()["predictions"][0]["score"]
    assert abs(after - before) > 0.001
    cells = row.locator("td small").all_inner_texts()
    assert cells == [f"{100 * score:.1f} %" for score in (before, after)]
    assert own.client.get("/nodes/node-39/neighbors").json()["neighbors"] == ["node-8"]
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("is no longer linked to").wait_for()
    assert own.client.get("/nodes/node-39/neighbors").json()["neighbors"] == []
    # What others change shows, too.
    own.client.post("/edges", json={"source": "node-39", "target": "node-9"})
    page.locator("#changes", has_text="The graph is at version").wait_for()
    own.client.request("DELETE", "/edges", json={"source": "node-39", "target": "node-9"})


def test_what_nodes_hold_is_never_read_as_markup(visit: Open, own: Service) -> None:
    evil = "<img src=x onerror=document.title=1>"
    own.client.put(f"/nodes/{evil}", json={"text": f"zebra {evil}", "neighbors": ["node-1"]})
    page = visit(own.url)
    choose(page, "#query", "zebra")
    page.locator("#node h1", has_text=evil).wait_for()
    assert page.locator("#node p.title").inner_text() == f"zebra {evil}"
    assert page.locator("#node img").count() == 0
    assert page.title() != "1"
    page.reload()  # by its address
    page.wait_for_selector(READY)
    assert heading(page) == evil
    own.client.delete(f"/nodes/{evil}")


def test_an_unknown_node_in_the_address_is_told(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/?node=nobody")
    assert "nobody" in page.locator("#node [role=alert]").inner_text()
    choose(page, "#query", "node-7")
    page.locator("#node h1", has_text="node-7").wait_for()


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", PHONE)])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    visit: Open, own: Service, scheme: str, size: dict[str, int]
) -> None:
    page = visit(f"{own.url}/?node=node-0", color_scheme=scheme, viewport=size)
    for tab in ("Node", "Invent", "Edges"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Invent":
            page.locator("#invented-text").fill("sprite")
            page.wait_for_selector("#invented-answer .bars")
        assert serious(page) == []
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], tab
    assert size["width"] > max(right for _, _, right, _ in names(page))
    page.goto(f"{own.url}/docs")
    page.wait_for_selector(READY)
    assert serious(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def names(page: Any) -> list[tuple[float, float, float, float]]:
    """Where the drawing's names are that can be read: left, top, right, bottom."""
    shown = page.locator("#drawing .node text:not(.over)").all()
    boxes = [name.bounding_box() for name in shown]
    return [(b["x"], b["y"], b["x"] + b["width"], b["y"] + b["height"]) for b in boxes]


def test_no_name_lies_over_another_and_all_can_be_read_one_by_one(
    visit: Open, own: Service
) -> None:
    page = visit(f"{own.url}/?node=node-0", viewport=PHONE)
    page.locator("#drawing .node.selected").focus()
    page.keyboard.press("o")
    page.wait_for_selector("#message.shown")
    for _ in range(6):
        page.keyboard.press("-")  # so that names come closer
    hidden = page.locator("#drawing .node text.over").first
    hidden.wait_for(state="attached")
    found = names(page)
    for number, (left, top, right, bottom) in enumerate(found):
        for other in found[:number]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart, (found[number], other)
    hidden.locator("..").focus()
    page.keyboard.press("ArrowUp")
    focused = page.evaluate(
        "getComputedStyle(document.activeElement.querySelector('text')).opacity"
    )
    assert focused == "1"


def serious(page: Any) -> list[str]:
    """What axe finds that keeps people out."""
    found = axe_api.Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['any'][:1]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


def test_light_and_dark_follow_the_system_until_one_chooses(visit: Open, own: Service) -> None:
    page = visit(own.url, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    page.wait_for_selector(READY)
    assert page.evaluate(ground) == light


def test_where_keys_are_needed_one_is_asked_for_and_kept_for_the_session(
    visit: Open, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    secret = add_key(tmp_path / "keys.json", "reader", Role.read)
    with serving(tiny_bundle.folder, "--keys-file", str(tmp_path / "keys.json")) as guarded:
        page = visit(guarded.url, wait="#key-dialog[open]")
        page.get_by_label("Key", exact=True).fill("wrong")
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("That key is not known here.").wait_for()
        page.get_by_label("Key", exact=True).fill(secret)
        page.get_by_role("button", name="Use it").click()
        page.wait_for_selector(READY)
        assert heading(page).startswith("node-")
        assert page.evaluate("JSON.stringify(localStorage)") == "{}"
        assert page.context.cookies() == []
        page.goto(f"{guarded.url}/docs")  # the key is still there
        page.wait_for_selector("#route-classify")
        assert "$KEY" in page.locator("#route-classify pre").first.inner_text()
        page.goto(f"{guarded.url}/?node=node-39")
        page.wait_for_selector(READY)
        page.get_by_role("tab", name="Edges").click()
        choose(page, "#target", "node-8")
        page.get_by_role("button", name="Add the edge").click()
        page.locator("#message", has_text="this needs a key with the role write").wait_for()
        other = visit(guarded.url, wait="#key-dialog[open]")  # another session
        other.get_by_role("button", name="Not now").click()
        other.locator("#node", has_text="send a key").wait_for()


def test_the_reference_shows_every_route_and_kind(visit: Open, own: Service) -> None:
    page = visit(f"{own.url}/docs")
    book = own.client.get("/openapi.json").json()
    operations = [entry for item in book["paths"].values() for entry in item.values()]
    shown = {article.get_attribute("id") for article in page.locator("article").all()}
    assert {f"route-{operation['operationId']}" for operation in operations} <= shown
    assert {f"schema-{name}" for name in book["components"]["schemas"]} <= shown
    text = page.locator("#route-list_nodes").inner_text()
    assert "at least 1; at most 1,000; 100 by default" in text
    assert f"curl -s '{own.url}/nodes'" in text


def test_the_teacher_is_asked_beside_the_student(
    visit: Open, tiny_bundle: TinyBundle, tmp_path: Path
) -> None:
    training = pytest.importorskip("tests.integration.test_teacher_server")
    from tests.language_models import write_tiny_encoder
    from training.teacher.teach import teach
    from understudy.graph import save_graph

    parts = {"train": np.arange(0, 15), "val": np.arange(15, 20), "test": np.arange(20, 40)}
    save_graph(replace(tiny_bundle.graph, splits=parts), tmp_path / "graph")
    model = write_tiny_encoder(tmp_path / "model", list(LABELS))
    teach(tmp_path / "graph", tmp_path / "teacher", training.options(f"encoder:{model}"))
    with training.teacher_serving(tmp_path / "teacher") as url:
        hops, tokens = str(training.HOPS), str(training.TOKENS)
        flags = ("--teacher-url", url, "--teacher-hops", hops, "--teacher-tokens", tokens)
        with serving(tiny_bundle.folder, *flags) as service:
            page = visit(f"{service.url}/?node=node-1")
            asked = {"nodes": [{"id": "node-1"}], "top_k": 3}
            page.locator("#node").get_by_role("button", name="Ask the teacher").click()
            opinions = page.locator("#node .opinion")
            opinions.nth(1).wait_for()
            comparison = service.client.post("/compare", json=asked).json()["comparisons"][0]
            for place, who in enumerate(("student", "teacher")):
                words = opinions.nth(place).inner_text()
                assert comparison[who]["label"] in words
                assert " ms" in words
            assert "tokens read" in opinions.nth(1).inner_text()
            verdict = "They agree" if comparison["agree"] else "They differ"
            assert verdict in page.locator("#node .verdict").inner_text()
            # Asked once more, it is not the teacher that is timed.
            page.locator("#node").get_by_role("button", name="Ask the teacher").click()
            opinions.get_by_text("from the cache").wait_for()
            assert page.locator("#node .verdict").inner_text() == f"{verdict}."
            assert "a look-up" in opinions.nth(0).inner_text()
            page.get_by_role("tab", name="Invent").click()
            page.locator("#invented-text").fill("sprite level")
            page.locator("#invent").get_by_role("button", name="Ask the teacher").click()
            page.locator("#invent .opinion").nth(1).wait_for()
            page.locator("#invented-text").fill("matrix proof")  # about which it said nothing
            page.locator("#invent .opinion").first.wait_for(state="detached")
