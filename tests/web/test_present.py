"""Presentation mode: digits for the last row, three decimals, and nothing beside the current equation."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from tests.web.placed import fits, go, settled
from torch import nn

from pellucid.glassbox.page.offline import offline
from pellucid.glassbox.trace.recording import explain

PROJECTOR = {"width": 1024, "height": 768}
PHONE = {"width": 360, "height": 740}

SMALL = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const small = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (!/\\d/.test(node.data) || !parent.checkVisibility() || parent.closest("script, style, .hidden")) continue;
        const size = parseFloat(getComputedStyle(parent).fontSize);
        if (size < 20) small.push([node.data, size]);
    }
    return small;
}"""
CELLS = """() => [...document.querySelectorAll(".cells")].map((table) =>
    [...table.querySelectorAll("td")].map((cell) => cell.textContent.replace("−", "-")))"""


def readable(page: Page, size: Any) -> None:
    """All digits are large, and everything is on the screen without scrolling."""
    settled(page, lambda: page.evaluate(SMALL))
    fits(page)
    if size is PROJECTOR:
        settled(page, lambda: page.evaluate("document.documentElement.scrollHeight") > size["height"])
    expect(page.locator("header, nav.strip").locator("visible=true")).to_have_count(0)


def test_a_number_is_presented_by_a_key_and_slides(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/2,5,5", PROJECTOR)
    page.keyboard.press("p")
    expect(page.get_by_role("status").first).to_have_text("Presentation mode. P or Escape leaves it.")
    readable(page, PROJECTOR)
    window, weights, products = page.evaluate(CELLS)
    assert len(window) == len(weights) == len(products) == 9
    for one, other, product in zip(window, weights, products, strict=True):
        assert re.fullmatch(r"-?\d\.\d{3}", product)
        assert float(one) * float(other) == pytest.approx(float(product), abs=0.002)
    chips = [each.replace("−", "-").strip("()") for each in page.locator(".summed .addend span").all_inner_texts()]
    total = page.locator("#value").inner_text().replace("−", "-")
    hidden = page.locator(".addend", has_text="digits not shown")
    assert hidden.count() + len(chips) >= 4
    left = float(re.sub(r"[^\d.]", "", hidden.inner_text())) if hidden.count() else 0.0
    assert abs(sum(map(float, chips)) - float(total)) == pytest.approx(left, abs=1e-9)
    page.keyboard.press("ArrowRight")
    expect(page.locator("h1").first).to_have_text("conv[2, 5, 6]")
    page.keyboard.press("Space")
    expect(page.locator("h1").first).to_have_text(re.compile(r"^conv\[2, 5, ([7-9]|1\d)\]$"))
    page.get_by_role("button", name="map 1").click()  # which stops it
    expect(page.locator(".cells caption").first).to_have_text("input[1]")
    stands = page.locator("h1").first.inner_text()
    page.keyboard.press("Escape")
    expect(page.locator("nav.strip")).to_be_visible()
    expect(page.locator("h1").first).to_have_text(stands)
    page.get_by_role("button", name="Present", exact=True).click()
    expect(page.locator(".presentation")).to_be_focused()
    page.keyboard.press("P")
    expect(page.locator(".presentation")).to_have_count(0)


def test_coming_back_a_kernel_says_that_it_is_turned_and_shows_the_gaps_of_a_stride(page: Page, tmp_path: Path) -> None:
    torch.manual_seed(6)
    kernel = nn.Conv2d(1, 2, 3, 2, padding=1)
    module = nn.Sequential(kernel, nn.Flatten(), nn.Linear(2 * 16, 3))
    (tmp_path / "strided.html").write_text(offline(explain(module, torch.randn(1, 7, 7), 1), "s"), encoding="ascii")
    page.set_viewport_size(PROJECTOR)  # type: ignore[arg-type]
    page.goto(f"{(tmp_path / 'strided.html').as_uri()}#/input/0,3,3?direction=backward&present=1&channel=1")
    expect(page.locator(".cells")).to_have_count(3)
    readable(page, PROJECTOR)
    captions = page.locator(".cells caption").all_inner_texts()
    assert captions[0].split("\n")[1:] == ["stride 2: gaps between"]
    assert captions[1].split("\n") == ["0.weight[1, 0]", "turned by 180°"]
    window, weights, products = (np.reshape(cells, (3, 3)) for cells in page.evaluate(CELLS))
    turned = kernel.weight[1, 0].detach().numpy()[::-1, ::-1]
    np.testing.assert_allclose(weights.astype(float), turned, atol=6e-4)
    gaps = np.array([[row % 2 or column % 2 for column in range(3)] for row in range(3)], bool)
    assert ((window == "") == gaps).all()
    assert ((products == "") == gaps).all()
    tops = page.locator(".cells tbody").evaluate_all("all => all.map((body) => body.getBoundingClientRect().top)")
    assert max(tops) - min(tops) < 1, "the rows of all grids are side by side"


def test_what_does_not_fit_is_one_product_that_the_reader_points_at(opened: Callable[..., Page]) -> None:
    page = opened("#/conv/2,5,5?present=1&channel=0", PHONE)
    readable(page, PHONE)
    expect(page.locator(".cells")).to_have_count(0)
    page.locator(".tiles i").first.click()
    expect(page.locator(".which")).to_contain_text("product 1 of 9.")
    one, other, product = (
        float(re.sub(r"[^\d.−]", "", text).replace("−", "-"))
        for text in page.locator(".one-product span").all_inner_texts()
    )
    assert one * other == pytest.approx(product, abs=0.002)
    page.locator(".tiles").press("ArrowDown")
    expect(page.locator(".which")).to_contain_text("product 4 of 9.")
    page.locator("h1").click()
    page.keyboard.press("ArrowDown")
    expect(page.locator("h1").first).to_have_text("conv[2, 6, 5]")
    expect(page.locator(".which")).to_contain_text("product 4 of 9.")
    page.locator(".tiles i").nth(8).click()
    expect(page.locator(".which")).to_contain_text("product 9 of 9.")


def test_only_the_maps_in_sight_are_loaded(opened: Callable[..., Page]) -> None:
    page = opened("#/block.wide?present=1", {"width": 1024, "height": 420})
    drawn = """wall => {
        const { width, height } = wall.querySelector("canvas");
        const pixels = wall.querySelector("canvas").getContext("2d").getImageData(0, 0, width, height).data;
        const filled = (x, y) => pixels[4 * (Math.round(y) * width + Math.round(x)) + 3] > 0;
        return [filled(30, 30), filled(30, height - 30)];
    }"""
    wall = page.locator(".maps-of .wall")
    page.wait_for_function(f"() => ({drawn})(document.querySelector('.maps-of .wall'))[0]")
    assert wall.evaluate(drawn) == [True, False]
    page.locator(".maps-of").evaluate("box => box.scrollTo(0, box.scrollHeight)")
    page.wait_for_function(f"() => ({drawn})(document.querySelector('.maps-of .wall'))[1]")


def test_a_link_starts_in_the_mode_everywhere(page: Page, page_file: Path) -> None:
    page.set_viewport_size(PROJECTOR)  # type: ignore[arg-type]
    page.goto(page_file.as_uri() + "?present#/conv")
    expect(page.locator(".presentation .hover")).to_have_text(re.compile(r"^conv\[0, 6, 6\] is −?\d\.\d{3}$"))
    readable(page, PROJECTOR)
    page.locator(".large").press("ArrowRight")
    expect(page.locator(".hover")).to_contain_text("conv[0, 6, 7]")
    page.locator(".large").press("Enter")
    expect(page.locator("h1").first).to_have_text("conv[0, 6, 7]")
    expect(page.locator(".cells")).to_have_count(3)
    for place in ("#/", "#/fc", "#/fc/1", "#/act/2,5,5", "#/conv.weight/0,0,1,1", "#/conv/0,5,3?lesson=filter.1"):
        for direction in ("backward", "forward"):  # a lesson's step is forward
            go(page, f"{place}{'&' if '?' in place else '?'}direction={direction}&present")
            expect(page.locator(".presentation")).to_be_visible()
            expect(page.locator(".waiting")).to_have_count(0)
            readable(page, PROJECTOR)
    expect(page.locator(".guide")).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator(".presentation")).to_have_count(0)
    page.reload()
    expect(page.locator("main h1")).to_be_visible()
    expect(page.locator(".presentation")).to_have_count(0)


def test_a_comparison_among_the_factors_is_explained(opened: Callable[..., Page]) -> None:
    words = "A comparison counts as 1 if it is true, and as 0 if it is not."
    page = opened("#/norm/2,5,5?direction=backward", PROJECTOR)
    expect(page.locator(".formula-lines")).to_contain_text(re.compile(r"> 0\)"))
    expect(page.locator(".formula-lines .note")).to_have_text(words)
    page.keyboard.press("p")
    expect(page.locator(".formula-of")).to_contain_text(re.compile(r"> 0\)"))
    expect(page.locator(".formula-of .note")).to_have_text(words)
    readable(page, PROJECTOR)
    page.evaluate("location.hash = '#/loss/-?present=1'")
    expect(page.locator("h1").first).to_have_text("loss")
    expect(page.get_by_text(words)).to_have_count(0)
