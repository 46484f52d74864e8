"""A page of blocks written in a real browser: forms for every type, what is wrong beside its field, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from apps.content import blocks
from apps.content import models as content
from tests import factories
from tests.commerce import making
from tests.content import making as site
from tests.media import making as media
from tests.rustok.desk import Desk


def _panel(page: Page) -> Locator:
    return page.locator("[data-language=en]")


def _add(page: Page, label: str) -> Locator:
    """The card of a new block."""
    _panel(page).locator(".block-palette > summary").click()
    _panel(page).locator(".block-types button", has=page.get_by_text(label, exact=True)).click()
    return _panel(page).locator(".block-card", has=page.locator("summary").get_by_text(label, exact=True))


def _save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).last.click()


def _written(node: content.Node) -> list[dict[str, Any]]:
    found = json.loads(content.Body.objects.get(node=node, locale="en").body)
    assert isinstance(found, list)
    return found


def test_a_page_is_built_of_blocks(desk: Desk, media_root: Path) -> None:
    with factories.at_work(desk.tenant):
        asset = media.make_asset(name="Kiln.png")
        shirt, cap = (making.make_product(making.product_fields(title)) for title in ("Shirt", "Cap"))
        node = site.make_node("Home")

    def build(page: Page) -> None:
        page.goto(f"/admin/content/node/{node.id}/change/")
        panel = _panel(page)
        panel.locator("[name='bodies/en/format']").select_option("json")
        expect(panel.locator("textarea[name='bodies/en/body']")).to_be_hidden()
        questions = _add(page, "Questions and answers")
        questions.get_by_role("textbox", name="Question").fill("Dishwasher?")
        questions.get_by_role("textbox", name="Answer").fill("Yes, **without** a chip.")
        hero = _add(page, "Hero")
        hero.get_by_role("textbox", name="Title *", exact=True).fill("Enamel that lasts")
        hero.get_by_role("button", name="Add picture").click()
        hero.get_by_role("button", name="Library").click()
        hero.locator(".picker-found button").click()
        expect(hero.locator(".row-picture img")).to_have_count(1)
        hero.get_by_role("textbox", name="Alt").fill("The kiln")
        hero.get_by_role("button", name="Add action").click()
        hero.get_by_role("textbox", name="Label").fill("To the shop")
        hero.get_by_role("textbox", name="Address").fill("/products")
        grid = _add(page, "Product grid")
        for title in ("Shirt", "Cap"):
            grid.get_by_role("combobox", name="Product").fill(title.lower())
            page.get_by_role("option", name=title).click()
        grid.get_by_label("Columns").fill("2")
        hero.get_by_role("button", name="Move up block").click()
        panel.get_by_role("button", name="Preview").click()
        frame = panel.frame_locator("iframe")
        expect(frame.locator("h2")).to_have_text("Enamel that lasts")
        expect(frame.locator("strong")).to_have_text("without")
        expect(frame.locator("figure img")).to_have_js_property("naturalWidth", 300)
        expect(frame.locator("figure img")).to_have_attribute("alt", "The kiln")
        _save(page)
        expect(page.locator(".messagelist")).to_contain_text("is saved")

    desk.do(build)
    with factories.at_work(desk.tenant):
        hero, questions, grid = _written(node)
    assert hero == blocks.dump(blocks.parse({
        "type": "hero", "title": "Enamel that lasts", "picture": {"asset_id": str(asset.id), "alt": "The kiln"},
        "actions": [{"label": "To the shop", "url": "/products"}],
    }))  # fmt: skip
    assert questions["items"] == [{"question": "Dishwasher?", "answer": "Yes, **without** a chip."}]
    assert (grid["product_ids"], grid["columns"]) == ([str(shirt.id), str(cap.id)], 2)

    def reopen(page: Page) -> list[str]:
        """What is stored is called by its name again."""
        cards = _panel(page).locator(".block-card")
        cards.nth(2).locator("summary").click()
        expect(cards.nth(2).locator(".chip")).to_have_text(["Shirt×", "Cap×"])
        cards.nth(0).locator("summary").click()
        expect(cards.nth(0).locator(".row-picture img")).to_have_count(1)
        return cards.locator("summary strong").all_inner_texts()

    assert desk.do(reopen) == ["Hero", "Questions and answers", "Product grid"]
    assert desk.wrongs == []


def test_what_is_wrong_is_marked_in_its_block_and_nothing_is_lost(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        node = site.make_node("Home", bodies=[{"locale": "en", "format": "json", "body": [{"type": "spacer"}]}])

    def build(page: Page) -> str:
        page.goto(f"/admin/content/node/{node.id}/change/")
        call = _add(page, "Call to action")
        call.get_by_role("textbox", name="Title *", exact=True).fill("Visit us")
        call.get_by_role("textbox", name="Label").fill("Here")
        call.get_by_role("textbox", name="Address").fill("javascript:alert(1)")
        _save(page)
        wrong = _panel(page).locator("input[aria-invalid=true]")
        expect(wrong).to_have_value("javascript:alert(1)")
        told = _panel(page).locator(".problem").inner_text()
        wrong.fill("/find-us")
        _save(page)
        expect(page.locator(".messagelist")).to_contain_text("is saved")
        return told

    assert desk.do(build).startswith("no. 2, actions, no. 1, url: ")
    with factories.at_work(desk.tenant):
        assert _written(node)[1]["actions"] == [{"label": "Here", "url": "/find-us", "style": "primary"}]
    assert desk.wrongs == []


def test_every_type_is_filled_in_and_kept_as_it_was(desk: Desk) -> None:
    examples = [dict(model.example) for model in blocks.TYPES.values()]
    with factories.at_work(desk.tenant):
        node = site.make_node("Home", bodies=[{"locale": "en", "format": "json", "body": examples}])
        before = _written(node)

    def touch(page: Page) -> None:
        page.goto(f"/admin/content/node/{node.id}/change/")
        cards = _panel(page).locator(".block-card")
        expect(cards).to_have_count(len(examples))
        for index in range(len(examples)):
            cards.nth(index).locator("summary").click()
            cards.nth(index).get_by_role("textbox", name="Anchor").fill(f"at-{index}")
        _save(page)
        expect(page.locator(".messagelist")).to_contain_text("is saved")

    desk.do(touch)
    with factories.at_work(desk.tenant):
        assert _written(node) == [{**block, "anchor": f"at-{index}"} for index, block in enumerate(before)]
    assert desk.wrongs == []


def test_json_is_a_click_away_and_what_is_no_list_stays_text(desk: Desk) -> None:
    with factories.at_work(desk.tenant):
        node = site.make_node("Home")

    def write(page: Page) -> None:
        page.goto(f"/admin/content/node/{node.id}/change/")
        panel = _panel(page)
        area, toggle = panel.locator("textarea[name='bodies/en/body']"), panel.locator(".block-toggle")
        area.fill("No blocks at all")
        panel.locator("[name='bodies/en/format']").select_option("json")
        expect(toggle).to_be_visible()
        expect(toggle).to_be_disabled()
        area.fill('[{"type": "gallery", "pictures": 5}]')
        toggle.click()
        expect(area).to_be_visible()
        area.fill('[{"type": "spacer"}, {"type": "text", "text": "Hello"}]')
        toggle.click()
        expect(panel.locator(".block-card")).to_have_count(2)
        panel.get_by_role("button", name="Remove block").first.click()
        toggle.click()
        expect(area).to_be_visible()
        assert json.loads(area.input_value()) == [{"type": "text", "text": "Hello"}]
        panel.locator("[name='bodies/en/format']").select_option("markdown")
        expect(toggle).to_be_hidden()

    desk.do(write)
    assert desk.wrongs == []
