"""The patches that excite a filter most, under the filters of a layer on the served page."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect
from tests.web.placed import fits, go

from pellucid import api
from pellucid.runs.made_from import trained_on
from pellucid.steps import result_of

PHONE: Any = {"width": 360, "height": 740}


def test_the_patches_of_the_chosen_filter(viewed: Page, trained: Path) -> None:
    go(viewed, "#/conv1?at=2,5,5")
    viewed.locator(".patches").wait_for()
    expect(viewed.locator(".exemplars h2")).to_have_text("What activates filter 2 most")
    expect(viewed.locator(".exemplars .note")).to_contain_text("3 × 3 pixels each, from all 16 training pictures")
    layers, _ = result_of(api.load(trained).exemplars(trained_on(trained)))
    best = layers["conv1"].filters[2]
    shown = [float(text.replace("−", "-")) for text in viewed.locator(".patches b").all_inner_texts()]
    assert shown == [float(f"{each.activation:.4g}") for each in best]
    images = viewed.locator(".patches img").evaluate_all(
        "async images => Promise.all(images.map(async each => (await each.decode(), each.naturalWidth)))"
    )
    assert images == [each.box[3] - each.box[1] for each in best]
    viewed.locator("[data-key='filters']").focus()
    viewed.keyboard.press("ArrowRight")
    expect(viewed.locator(".exemplars h2")).to_have_text("What activates filter 3 most")


def test_a_patch_opens_its_picture_at_its_unit(served: Page) -> None:
    go(served, "#/conv1?at=1,5,5")
    served.locator(".patches").wait_for()
    served.locator(".patches button").first.focus()
    served.keyboard.press("ArrowRight")
    second = served.locator(".patches button").nth(1)
    expect(second).to_be_focused()
    name, unit = re.findall(r"^(.*), (conv1\[.*\]) = ", second.get_attribute("title") or "")[0]
    shown = second.locator("b").inner_text().replace("−", "-")
    served.keyboard.press("Enter")
    expect(served.locator("h1").first).to_have_text(unit)
    expect(served.locator(".what")).to_contain_text(f"{name}: ")
    total = served.locator("#value").get_attribute("data-total")
    assert total is not None
    assert float(f"{float(total):.4g}") == float(shown)


def test_the_cursor_moves_and_the_patches_stay(viewed: Page) -> None:
    go(viewed, "#/conv1?at=1,5,5")
    viewed.locator(".patches").wait_for()
    viewed.locator(".exemplars").evaluate("each => (each.dataset.mine = 'yes')")
    viewed.locator(".large").focus()
    viewed.keyboard.press("ArrowDown")
    expect(viewed.locator(".hover")).to_contain_text("conv1[1, 6, 5]")
    expect(viewed.locator(".exemplars")).to_have_attribute("data-mine", "yes")


def test_only_convolutions_have_patches(viewed: Page) -> None:
    go(viewed, "#/relu1")
    expect(viewed.locator("h1").first).to_have_text("relu1")
    expect(viewed.locator(".exemplars")).to_have_count(0)


def test_what_went_wrong_is_a_sentence(served: Page) -> None:
    served.route(
        "**/api/exemplars?**", lambda route: route.fulfill(json={"state": "failed", "error": "They are gone."})
    )
    go(served, "#/conv1")
    expect(served.locator(".exemplars [role='alert']")).to_have_text("They are gone.")


def test_the_offline_page_says_nothing_of_them(opened: Callable[..., Page]) -> None:
    page = opened("#/conv")
    page.locator(".filters").first.wait_for()
    expect(page.locator(".exemplars")).to_have_count(0)


def test_a_phone_and_axe(served: Page, axe: str) -> None:
    served.set_viewport_size(PHONE)
    go(served, "#/conv1")
    served.locator(".patches").wait_for()
    fits(served)
    violations = served.evaluate(axe + "; axe.run('main', {resultTypes: ['violations']})")
    assert [(each["id"], each["nodes"][0]["html"]) for each in violations["violations"]] == []
